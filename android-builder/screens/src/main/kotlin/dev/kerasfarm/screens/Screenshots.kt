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
 * The app's screen after it answered the prompt `screenshots.prompt`, on a phone, in both themes; the pictures go
 * into the folder `screenshots.folder`.
 */
@RunWith(AppRunner::class)
@Config(sdk = [34])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class Screenshots {
    @Test
    @Config(qualifiers = "w411dp-h731dp-port-notnight-420dpi")
    fun light() = take("screenshot-light.png")

    @Test
    @Config(qualifiers = "w411dp-h731dp-port-night-420dpi")
    fun dark() = take("screenshot-dark.png")

    private fun take(name: String) {
        val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        val activity = controller.get()
        val session = (activity.application as AutocompleteApplication).session
        await("the model to open") { session.state.phase == Phase.READY || session.state.notice != null }
        check(session.state.notice == null) { "the app refuses the model: ${session.state.notice}" }
        activity.findViewById<EditText>(R.id.prompt).run {
            setText(System.getProperty("screenshots.prompt"))
            setSelection(length())
        }
        activity.findViewById<View>(R.id.generate).performClick()
        await("the answer") { !session.state.busy }
        check(session.state.text.isNotEmpty()) { "the app wrote nothing: ${session.state.notice}" }
        draw(activity, File(System.getProperty("screenshots.folder"), name))
        activity.finish()
        controller.pause().stop().destroy()
        await("the model to close") { session.state.phase == Phase.CLOSED }
    }
}
