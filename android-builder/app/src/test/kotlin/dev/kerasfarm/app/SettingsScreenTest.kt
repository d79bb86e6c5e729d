package dev.kerasfarm.app

import android.view.View
import android.widget.EditText
import android.widget.SeekBar
import android.widget.TextView
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.app.ui.SettingsActivity
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.generation.model.Mode
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf

class SettingsScreenTest : AppTest() {
    private fun settings(use: (SettingsActivity) -> Unit) = screen(SettingsActivity::class.java, use)

    @Test
    fun whatIsSetIsKeptAndWhatIsNotStaysTheDefault() {
        open()
        val preferences = Preferences(activity)
        settings { screen ->
            assertEquals(null, preferences.limit)
            assertEquals(null, preferences.window)
            screen.findViewById<SeekBar>(R.id.limit).progress = 4
            screen.findViewById<SeekBar>(R.id.temperature).progress = 80
            screen.findViewById<SeekBar>(R.id.top_k).progress = 7
            screen.findViewById<SeekBar>(R.id.top_p).progress = 85
            screen.findViewById<SeekBar>(R.id.min_p).progress = 5
            screen.findViewById<SeekBar>(R.id.penalty).progress = 30
            screen.findViewById<EditText>(R.id.seed).setText("42")
            screen.findViewById<SeekBar>(R.id.window).progress = 19
        }
        assertEquals(Sampling(0.8f, 7, 0.9f, 1.3f, 42, minP = 0.05f), preferences.sampling)
        assertEquals(0.05f, preferences.options(Mode.CHAT).minP)
        assertEquals(20, preferences.window)
        assertEquals(40, preferences.options(Mode.COMPLETE).maxTokens)
        settings { screen ->
            assertEquals(80, screen.findViewById<SeekBar>(R.id.temperature).progress)
            assertEquals("42", screen.findViewById<EditText>(R.id.seed).text.toString())
            val label = screen.findViewById<TextView>(R.id.window_label).text
            assertTrue("$label", label.contains("last 20 of"))
            // Half of the context is kept as "half", for a model with another one.
            val window = screen.findViewById<SeekBar>(R.id.window)
            window.progress = session.state.info!!.context / 2 - 1
            assertEquals(null, preferences.window)
            for ((button, name) in listOf(R.id.open_measure to "MeasureActivity", R.id.open_about to "AboutActivity")) {
                screen.findViewById<View>(button).performClick()
                assertTrue(shadowOf(screen).nextStartedActivity.component?.className.orEmpty().endsWith(name))
            }
        }
    }
}
