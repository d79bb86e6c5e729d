package dev.kerasfarm.app

import android.app.Activity
import android.view.View
import android.view.ViewGroup
import android.widget.ListView
import android.widget.ScrollView
import android.widget.TextView
import dev.kerasfarm.app.ui.AboutActivity
import dev.kerasfarm.app.ui.ConversationsActivity
import dev.kerasfarm.app.ui.MeasureActivity
import dev.kerasfarm.app.ui.SettingsActivity
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Test
import org.robolectric.annotation.Config

/** Every screen on every kind of display: drawn, and compared with what a reader needs. */
class LooksTest : AppTest() {
    @Test
    fun inTheLight() = everyScreen("light")

    @Test
    @Config(qualifiers = "w411dp-h731dp-port-night-420dpi")
    fun inTheDark() = everyScreen("dark")

    @Test
    @Config(qualifiers = "w731dp-h411dp-land-notnight-420dpi")
    fun onItsSide() = everyScreen("land")

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-notnight-240dpi")
    fun onATablet() = everyScreen("tablet")

    @Test
    @Config(qualifiers = "w411dp-h731dp-port-notnight-420dpi", fontScale = 2f)
    fun inLargeType() = everyScreen("large")

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h731dp-port-notnight-420dpi")
    fun fromRightToLeft() = everyScreen("rtl")

    @Test
    @Config(qualifiers = "ja-w411dp-h731dp-port-night-420dpi")
    fun inJapanese() = everyScreen("ja")

    @Test
    @Config(qualifiers = "de-w411dp-h731dp-port-notnight-420dpi")
    fun inGerman() = everyScreen("de")

    @Test
    @Config(qualifiers = "es-w411dp-h731dp-port-notnight-420dpi")
    fun inSpanish() = everyScreen("es")

    private val problems = ArrayList<String>()

    private fun everyScreen(kind: String) {
        open(mode = null)
        look(activity, "welcome-$kind")
        val golden = goldenPrompts().maxBy { it.tokens }
        answer(golden.question(session.state.info!!.prompting))
        look(activity, "answer-$kind")
        session.dismiss()
        await("an empty screen") { session.state.prompt.isEmpty() }
        answer(" ")
        look(activity, "refused-$kind")
        screen(SettingsActivity::class.java) { look(it, "settings-$kind") }
        screen(MeasureActivity::class.java) { screen ->
            screen.findViewById<View>(R.id.start).performClick()
            await("the figures") { session.state.measurement != null && !session.state.busy }
            look(screen, "measure-$kind")
        }
        screen(AboutActivity::class.java) { screen ->
            await("the metadata") { screen.findViewById<TextView>(R.id.licence_text).length() > 0 }
            look(screen, "about-$kind")
        }
        again(Mode.CHAT)
        look(activity, "chat-welcome-$kind")
        conversation()
        look(activity, "chat-$kind")
        screen(ConversationsActivity::class.java) { screen ->
            await("the list") { screen.findViewById<ListView>(R.id.list).childCount > 0 }
            look(screen, "conversations-$kind")
        }
        screen(SettingsActivity::class.java) { look(it, "chat-settings-$kind") }
        again(Mode.COMPLETE)
        look(activity, "empty-$kind")
        answer(golden.text)
        look(activity, "suggestion-$kind")
        app.missing = "autocomplete.tflite"
        again(null)
        look(activity, "no-model-$kind")
        assertEquals(listOf<String>(), problems)
    }

    /** A conversation with all that an answer can have, another model's turn, a thought, and one that was dropped. */
    private fun conversation() {
        val turns = List(9) { Turn("Question $it", "Answer $it. ".repeat(20)) } + listOf(
            Turn("What can I write?", MARKDOWN, "The user asks for everything.", "An elder model"),
        )
        val file = SavedConversation("What can I write?", turns = turns).toJson()
        session.chat.import({ file.byteInputStream() }) { id, _ -> session.chat.open(checkNotNull(id)) }
        await("the conversation") { session.state.chat.turns.size == turns.size && session.state.chat.contextTokens > 0 }
        answer(session.state.info!!.prompting.prompts[0])
        await("the turns") { view<ViewGroup>(R.id.turns).childCount == 11 }
        view<ScrollView>(R.id.scroll).scrollTo(0, view<ViewGroup>(R.id.turns).getChildAt(9).top)
    }

    private fun again(mode: Mode?) {
        controller.close()
        app.endProcess()
        open(mode)
    }

    private companion object {
        val MARKDOWN = """
            # Everything
            **Bold**, *italic*, ~~struck~~ and `code` in a line, and [a link](https://example.org).

            1. First
            2. Second
               - Inner
            - Dot with a long text that goes on until it has to be broken into lines

            > A quote

            ```python
            def greet(name: str) -> str:
                return f"Hello {name}, this line is long enough to be scrolled"
            ```

            | Name | Meaning |
            |------|---------|
            | `len` | the number of items |
            | sqrt | the square root |
        """.trimIndent()
    }

    private fun look(shown: Activity, name: String) {
        await("the layout") { !shown.window.decorView.isLayoutRequested }
        picture(shown, name)
        problems += problemsOf(shown.findViewById(R.id.root)).map { "$name: $it" }
    }
}
