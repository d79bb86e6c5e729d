package dev.kerasfarm.sample

import android.app.Activity
import android.os.Bundle
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import dev.kerasfarm.generation.GenerationException
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.chat.Conversation
import java.util.concurrent.Executors

/** An app's screen that holds a conversation: the whole use of a chat model in `generation.aar`. */
class ChatActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private val history by lazy { TextView(this) }
    private val question by lazy { EditText(this) }
    private val options = GenerationOptions(maxTokens = 256)
    private var generator: TextGenerator? = null // by the worker alone

    @Volatile
    private var conversation: Conversation? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val send = Button(this).apply { setOnClickListener { ask(question.text.toString()) } }
        setContentView(LinearLayout(this).apply { listOf(history, question, send).forEach(::addView) })
        worker.execute {
            generator = TextGenerator.open(assets).also { conversation = Conversation(it, system = "You are brief.") }
        }
    }

    override fun onDestroy() {
        conversation?.cancel()
        worker.execute { generator?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun ask(text: String) = worker.execute {
        try {
            conversation?.send(text, options) { part ->
                show(part)
                true
            }
        } catch (refused: GenerationException) {
            show(refused.message.orEmpty())
        }
    }

    private fun show(part: String) = runOnUiThread { history.append(part) }
}
