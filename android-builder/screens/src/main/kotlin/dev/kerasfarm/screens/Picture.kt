package dev.kerasfarm.screens

import android.view.View
import android.widget.EditText
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.app.ui.MainActivity
import dev.kerasfarm.generation.model.Mode
import org.robolectric.Robolectric
import java.io.File

/**
 * Draws the app's screen after it answered the prompt `screenshots.prompt.0`, in the mode chat those with the numbers 1,
 * 2 and so on too, into the folder `screenshots.folder`.
 *
 * The line with the speed is left out: it would be that of the machine that draws, and not of a phone.
 */
fun take(name: String) {
    val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
    val activity = controller.get()
    val session = (activity.application as AutocompleteApplication).session
    await("the model to open") { session.state.phase == Phase.READY || session.state.notice != null }
    check(session.state.notice == null) { "the app refuses the model: ${session.state.notice}" }
    val chats = session.state.info?.prompting?.mode == Mode.CHAT
    await("the conversation") { !chats || session.state.chat.loaded }
    for (prompt in prompts()) {
        activity.findViewById<EditText>(R.id.prompt).run {
            setText(prompt)
            setSelection(length())
        }
        activity.findViewById<View>(R.id.generate).performClick()
        await("the answer") { !session.state.busy }
        val written = if (chats) session.state.chat.turns.lastOrNull()?.answer.orEmpty() else session.state.text
        check(written.isNotBlank()) { "the app wrote nothing: ${session.state.notice}" }
        await("the field") { activity.findViewById<View>(R.id.generate).isEnabled }
    }
    activity.findViewById<View>(R.id.status).visibility = View.INVISIBLE
    draw(activity, File(System.getProperty("screenshots.folder"), name))
    activity.finish()
    controller.pause().stop().destroy()
    await("the model to close") { session.state.phase == Phase.CLOSED }
}

private fun prompts(): List<String> =
    generateSequence(0) { it + 1 }.map { System.getProperty("screenshots.prompt.$it") }.takeWhile { it != null }.toList()
