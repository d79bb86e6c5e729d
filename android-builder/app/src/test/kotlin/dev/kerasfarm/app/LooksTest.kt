package dev.kerasfarm.app

import android.app.Activity
import android.view.View
import android.widget.TextView
import dev.kerasfarm.app.ui.AboutActivity
import dev.kerasfarm.app.ui.MeasureActivity
import dev.kerasfarm.app.ui.SettingsActivity
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
        again(Mode.COMPLETE)
        look(activity, "empty-$kind")
        answer(golden.text)
        look(activity, "suggestion-$kind")
        app.missing = "autocomplete.tflite"
        again(null)
        look(activity, "no-model-$kind")
        assertEquals(listOf<String>(), problems)
    }

    private fun again(mode: Mode?) {
        controller.close()
        app.endProcess()
        open(mode)
    }

    private fun look(shown: Activity, name: String) {
        await("the layout") { !shown.window.decorView.isLayoutRequested }
        picture(shown, name)
        problems += problemsOf(shown.findViewById(R.id.root)).map { "$name: $it" }
    }
}
