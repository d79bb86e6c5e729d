package dev.kerasfarm.screens

import android.view.View
import android.widget.EditText
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.app.ui.MainActivity
import org.robolectric.Robolectric
import java.io.File

/**
 * Draws the app's screen after it answered the prompt `screenshots.prompt`, into the folder `screenshots.folder`.
 *
 * The line with the speed is left out: it would be that of the machine that draws, and not of a phone.
 */
fun take(name: String) {
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
    activity.findViewById<View>(R.id.status).visibility = View.INVISIBLE
    draw(activity, File(System.getProperty("screenshots.folder"), name))
    activity.finish()
    controller.pause().stop().destroy()
    await("the model to close") { session.state.phase == Phase.CLOSED }
}
