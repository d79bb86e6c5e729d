package dev.kerasfarm.app.ui

import android.app.Activity
import android.os.Bundle
import android.text.Editable
import android.text.TextWatcher
import android.view.View
import android.widget.EditText
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.model.Mode

/**
 * A text that is written together with the model: it continues what stands before the cursor, its words in another
 * colour until they are accepted.
 */
class CompletePane(activity: Activity, private val session: Session, private val preferences: Preferences) : Pane {
    private val editor = activity.findViewById<EditText>(R.id.prompt)
    private val generate = activity.findViewById<View>(R.id.generate)
    private val stop = activity.findViewById<View>(R.id.stop)
    private val accept = activity.findViewById<View>(R.id.accept)
    private val next = activity.findViewById<View>(R.id.next)
    private val dismiss = activity.findViewById<View>(R.id.dismiss)
    private val undo = activity.findViewById<View>(R.id.undo)
    private val ghost = GhostText(editor, activity.getColor(R.color.primary))
    private val accepted = AcceptedTexts(editor)

    init {
        generate.setOnClickListener { suggest(0) }
        next.setOnClickListener { suggest(session.state.attempt + 1) }
        stop.setOnClickListener { session.stop() }
        accept.setOnClickListener { accept() }
        dismiss.setOnClickListener { dismiss() }
        undo.setOnClickListener {
            dismiss()
            accepted.undo()
            showButtons(session.state)
        }
        editor.addTextChangedListener(object : TextWatcher {
            override fun afterTextChanged(text: Editable) {
                // What the user changes makes the suggestion one for another text.
                if (!ghost.changing && ghost.text.isNotEmpty()) dismiss()
            }

            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit
        })
    }

    override fun show(state: SessionState) {
        if (ghost.place >= 0) ghost.show(if (afterSpace()) state.text.removePrefix(" ") else state.text)
        showButtons(state)
    }

    override fun save(into: Bundle) {
        into.putInt(PLACE, ghost.place)
        into.putInt(LENGTH, ghost.text.length)
        into.putIntArray(ACCEPTED, accepted.places())
    }

    override fun restore(saved: Bundle) {
        ghost.adopt(saved.getInt(PLACE), saved.getInt(LENGTH))
        accepted.adopt(saved.getIntArray(ACCEPTED) ?: IntArray(0))
    }

    private fun suggest(attempt: Int) {
        val again = attempt > 0 && ghost.place >= 0
        ghost.show("")
        if (!again) ghost.place = editor.selectionEnd.coerceAtLeast(0)
        // Tokens begin with a space: one that is already there would have none to follow.
        val prompt = editor.text.substring(0, ghost.place).trimEnd(' ')
        hideKeyboard(editor)
        session.generate(prompt, preferences.options(Mode.COMPLETE), if (again) attempt else 0)
    }

    private fun afterSpace(): Boolean = editor.text.getOrNull(ghost.place - 1) == ' '

    private fun accept() {
        ghost.accept()?.let { accepted.add(it) }
        session.dismiss()
    }

    private fun dismiss() {
        ghost.clear()
        session.dismiss()
    }

    private fun showButtons(state: SessionState) {
        val suggested = !state.busy && ghost.text.isNotEmpty()
        show(generate, !state.busy && !suggested)
        generate.isEnabled = state.phase != Phase.OPENING
        show(stop, state.writing)
        for (button in listOf(accept, next, dismiss)) show(button, suggested)
        undo.isEnabled = accepted.any && !state.busy
    }

    private fun show(view: View, visible: Boolean) {
        view.visibility = if (visible) View.VISIBLE else View.GONE
    }

    private companion object {
        const val PLACE = "ghost_place"
        const val LENGTH = "ghost_length"
        const val ACCEPTED = "accepted"
    }
}
