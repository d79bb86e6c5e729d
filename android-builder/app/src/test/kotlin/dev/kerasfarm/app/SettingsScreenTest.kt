package dev.kerasfarm.app

import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.SeekBar
import android.widget.TextView
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.app.ui.SettingsActivity
import dev.kerasfarm.screens.draw
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File

class SettingsScreenTest : AppTest() {
    private fun settings(use: (SettingsActivity) -> Unit) {
        val opened = Robolectric.buildActivity(SettingsActivity::class.java).setup()
        use(opened.get())
        opened.close()
    }

    private fun picture(shown: android.app.Activity, name: String) =
        draw(shown, File(System.getProperty("pictures")).apply { mkdirs() }.resolve("$name.png"))

    private fun preferences() = Preferences(activity)

    @Test
    fun theButtonLeadsThere() {
        open()
        press(R.id.settings)
        val intent = shadowOf(activity).nextStartedActivity
        assertEquals(SettingsActivity::class.java.name, intent.component?.className)
    }

    @Test
    fun whatIsSetIsKept() {
        open()
        settings { screen ->
            screen.findViewById<SeekBar>(R.id.temperature).progress = 80
            screen.findViewById<SeekBar>(R.id.top_k).progress = 7
            screen.findViewById<SeekBar>(R.id.top_p).progress = 85
            screen.findViewById<SeekBar>(R.id.penalty).progress = 30
            screen.findViewById<EditText>(R.id.seed).setText("42")
            screen.findViewById<SeekBar>(R.id.window).progress = 19
        }
        assertEquals(Sampling(0.8f, 7, 0.9f, 1.3f, 42), preferences().sampling)
        assertEquals(20, preferences().window)
        settings { screen ->
            assertEquals(80, screen.findViewById<SeekBar>(R.id.temperature).progress)
            assertEquals("42", screen.findViewById<EditText>(R.id.seed).text.toString())
            assertTrue(screen.findViewById<TextView>(R.id.window_label).text.contains("last 20 of"))
            picture(screen, "settings")
        }
    }

    @Test
    fun theWindowIsHalfUntilItIsSet() {
        open()
        val context = checkNotNull(session.state.info).context
        settings { assertEquals(context / 2 - 1, it.findViewById<SeekBar>(R.id.window).progress) }
        assertEquals(null, preferences().window)
    }

    @Test
    fun aSeedRepeatsATextAndAnotherOneDoesNot() {
        open()
        val texts = listOf(1L, 1L, 2L).map { seed ->
            preferences().sampling = Sampling(temperature = 1.5f, seed = seed)
            answer("A class is")
            session.state.text
        }
        assertEquals(texts[0], texts[1])
        assertNotEquals(texts[0], texts[2])
    }

    @Test
    fun aPromptLongerThanTheWindowUsesItsEnd() {
        open()
        preferences().window = 20
        answer("Nothing of this matters. ".repeat(60) + "The list type")
        assertTrue(text(R.id.notice), text(R.id.notice).contains("The model read the last 20 tokens"))
        val first = session.state.text
        answer("Something else was here. ".repeat(80) + "Nothing of this matters. ".repeat(10) + "The list type")
        assertEquals(first, session.state.text)
    }

    @Test
    fun anUnsuitablePromptIsRefusedWithASentence() {
        open()
        answer("What the fuck is")
        assertTrue(text(R.id.notice), text(R.id.notice).startsWith("Your text has words"))
        assertEquals("", session.state.text)
        answer("Scunthorpe is")
        assertFalse(session.state.text.isEmpty())
    }

    @Test
    @Config(qualifiers = "ja-w411dp-h731dp-port-night-420dpi")
    fun itSpeaksJapanese() {
        open()
        settings { screen ->
            assertTrue(screen.findViewById<TextView>(R.id.temperature_label).text.startsWith("温度"))
            picture(screen, "settings-ja-dark")
        }
    }

    @Test
    @Config(qualifiers = "w731dp-h411dp-land-notnight-420dpi")
    fun onItsSide() = everythingIsReachable("land")

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-notnight-240dpi")
    fun onATablet() = everythingIsReachable("tablet")

    @Test
    @Config(qualifiers = "w411dp-h731dp-port-notnight-420dpi", fontScale = 2f)
    fun inLargeType() = everythingIsReachable("large")

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h731dp-port-notnight-420dpi")
    fun fromRightToLeft() = everythingIsReachable("rtl")

    private fun everythingIsReachable(name: String) {
        open()
        answer("A class is")
        requireButtonsInside()
        picture(activity, name)
        settings { screen ->
            requireDescriptions(screen.window.decorView)
            picture(screen, "settings-$name")
        }
    }

    private fun requireButtonsInside() {
        val whole = activity.window.decorView
        for (id in listOf(R.id.generate, R.id.stop, R.id.settings, R.id.prompt, R.id.output)) {
            val part = view<View>(id)
            val place = IntArray(2)
            part.getLocationInWindow(place)
            assertTrue("$id", part.height > 0 && place[0] >= 0 && place[0] + part.width <= whole.width)
        }
    }

    /** Whoever does not see the screen hears what a bar is for. */
    private fun requireDescriptions(view: View) {
        if (view is SeekBar) assertFalse(view.contentDescription.isNullOrEmpty())
        if (view is ViewGroup) for (child in 0 until view.childCount) requireDescriptions(view.getChildAt(child))
    }
}
