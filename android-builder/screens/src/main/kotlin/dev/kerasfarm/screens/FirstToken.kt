package dev.kerasfarm.screens

import android.view.View
import android.widget.EditText
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.app.ui.MainActivity
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File

/**
 * How long a user waits from the tap on the button to the first written token, with the model open: writes the seconds
 * of some tries after the prompt `first.token.prompt`, one a line, into the file `first.token.seconds`.
 */
@RunWith(AppRunner::class)
@Config(sdk = [34], qualifiers = "w411dp-h731dp-port-notnight-420dpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class FirstToken {
    @Test
    fun fromTheTap() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        val session = (activity.application as AutocompleteApplication).session
        await("the model to open") { session.state.phase == Phase.READY || session.state.notice != null }
        val seconds = List(TRIES) {
            activity.findViewById<EditText>(R.id.prompt).setText(System.getProperty("first.token.prompt"))
            val tapped = System.nanoTime()
            activity.findViewById<View>(R.id.generate).performClick()
            // The session counts on its own thread, while this one sleeps between two looks.
            while (session.state.tokens == 0) {
                check(session.state.notice == null) { "the app wrote nothing: ${session.state.notice}" }
                Thread.sleep(1)
            }
            val waited = (System.nanoTime() - tapped) / NANOSECONDS
            session.stop()
            await("the end") { !session.state.busy }
            waited
        }
        // The first try finds a JVM that has yet to compile the app.
        File(System.getProperty("first.token.seconds")).writeText(seconds.drop(1).joinToString("\n"))
    }

    private companion object {
        const val TRIES = 6
        const val NANOSECONDS = 1e9
    }
}
