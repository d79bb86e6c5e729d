package dev.kerasfarm.screens

import android.os.Looper
import android.view.View
import android.view.ViewGroup
import dev.kerasfarm.app.R
import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.markdown.MarkdownView
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.app.ui.MainActivity
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.chat.Conversation
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import org.json.JSONObject
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File
import java.lang.management.ManagementFactory

/** How long the mode chat lets its user wait; each test adds its figures to the JSON file `chat.metrics`. */
@RunWith(AppRunner::class)
@Config(sdk = [34], qualifiers = "w411dp-h731dp-port-notnight-420dpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ChatMetrics {
    private val app get() = RuntimeEnvironment.getApplication() as AutocompleteApplication

    /** A question behind some 200 tokens, when the model holds them and when it has to read them. */
    @Test
    fun secondTurn() = TextGenerator.open(app.assets).use { generator ->
        val options = GenerationOptions(maxTokens = 8)
        val question = generator.info.prompting.prompts.first()
        val room = minOf(HISTORY, generator.info.context * 2 / 3)
        val history = ArrayList<Turn>()
        while (Conversation(generator, turns = history).let {
                it.read(options, QUIET)
                it.contextTokens
            } < room
        ) {
            history.add(Turn("What is number ${history.size}?", " It is written here as number ${history.size}."))
        }
        val held = ArrayList<Double>()
        val fresh = ArrayList<Double>()
        var tokens = 0 to 0
        repeat(RUNS) {
            generator.generate("Something else", options) { true }
            val other = Conversation(generator, turns = history)
            fresh.add(seconds { tokens = other.send(question, GenerationOptions(1), QUIET).readTokens to tokens.second })
            generator.generate("Something else", options) { true }
            val kept = Conversation(generator, turns = history).also { it.read(options, QUIET) }
            held.add(seconds { tokens = tokens.first to kept.send(question, GenerationOptions(1), QUIET).readTokens })
        }
        write(
            "fresh_tokens" to tokens.first,
            "held_tokens" to tokens.second,
            "fresh_seconds" to median(fresh),
            "held_seconds" to median(held),
        )
    }

    /** An answer of 2,000 words, drawn word by word. */
    @Test
    fun markdown() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        val section =
            "## Heading\n\nSome **bold** words and `code` in a sentence that goes on for a while, as they do.\n\n" +
                "- an item with words\n- another *item* of the list\n\n```python\nprint('hello')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        val text = StringBuilder().apply { while (split(" ").size < WORDS) append(section) }.toString()
        val ends = text.indices.filter { text[it] == ' ' || text[it] == '\n' }
        lateinit var times: List<Double>
        // The first times find a JVM that has yet to compile the classes.
        repeat(2) {
            val view = MarkdownView(activity, null)
            times = ends.map { end ->
                // Between two words the screen does what it put off.
                shadowOf(Looper.getMainLooper()).idle()
                processorSeconds {
                    view.show(text.substring(0, end), ends = false)
                    view.measure(View.MeasureSpec.makeMeasureSpec(WIDTH, View.MeasureSpec.EXACTLY), 0)
                    view.layout(0, 0, WIDTH, view.measuredHeight)
                }
            }
        }
        val sorted = times.sorted()
        write("chunks" to times.size, "chunk_median" to median(times), "chunk_99" to sorted[sorted.size * 99 / 100])
    }

    /** From the start to a conversation that can be gone on with, with and without a thousand others. */
    @Test
    fun start() {
        val times = listOf(1, MANY).map { count ->
            ConversationStore(app).use { store ->
                val there = store.list().size
                val turns = List(4) { Turn("Question $it, which is asked", "An answer of some words. ".repeat(20)) }
                repeat(count - there) { store.add(SavedConversation("Conversation $it", turns = turns)) }
            }
            seconds {
                val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
                await("the turns") { (controller.get().findViewById<ViewGroup>(R.id.turns)?.childCount ?: 0) > 0 }
                controller.pause().stop().destroy()
            }.also { await("the model") { app.session.state.phase in setOf(Phase.READY, Phase.CLOSED) } }
        }
        val list = seconds { ConversationStore(app).use { check(it.list("Question 3").size == MANY) } }
        write("start_one" to times[0], "start_many" to times[1], "search_many" to list)
    }

    private fun seconds(work: () -> Unit): Double {
        val began = System.nanoTime()
        work()
        return (System.nanoTime() - began) / NANOSECONDS
    }

    /** What this thread itself takes: another process on the machine does not count. */
    private fun processorSeconds(work: () -> Unit): Double {
        val threads = ManagementFactory.getThreadMXBean()
        val began = threads.currentThreadCpuTime
        work()
        return (threads.currentThreadCpuTime - began) / NANOSECONDS
    }

    private fun median(values: List<Double>): Double = values.sorted()[values.size / 2]

    private fun write(vararg figures: Pair<String, Number>) {
        val file = File(System.getProperty("chat.metrics"))
        val json = if (file.exists()) JSONObject(file.readText()) else JSONObject()
        for ((name, value) in figures) json.put(name, value)
        file.writeText(json.toString(1))
    }

    private companion object {
        const val HISTORY = 200
        const val RUNS = 9
        const val WORDS = 2000
        const val WIDTH = 1000
        const val MANY = 1000
        const val NANOSECONDS = 1e9
        val QUIET = object : GenerationListener {
            override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = true
        }
    }
}
