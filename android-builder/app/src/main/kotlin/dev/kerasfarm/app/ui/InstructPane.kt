package dev.kerasfarm.app.ui

import android.app.Activity
import android.view.View
import android.widget.EditText
import android.widget.ScrollView
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.model.Mode

/** A question and its answer. */
class InstructPane(private val activity: Activity, private val session: Session, private val preferences: Preferences) :
    Pane {
    private val input = activity.findViewById<EditText>(R.id.prompt)
    private val send = activity.findViewById<View>(R.id.generate)
    private val stop = activity.findViewById<View>(R.id.stop)
    private val welcome = activity.findViewById<View>(R.id.welcome)
    private val scroll = activity.findViewById<ScrollView>(R.id.scroll)
    private val question = activity.findViewById<TextView>(R.id.question)
    private val answer = activity.findViewById<TextView>(R.id.answer)
    private val actions = activity.findViewById<View>(R.id.actions)
    private val asked = AskedQuestion(input)

    init {
        send.setOnClickListener { ask(input.text.toString().trim(), 0) }
        stop.setOnClickListener { session.stop() }
        activity.findViewById<View>(R.id.next).setOnClickListener {
            ask(session.state.prompt, session.state.attempt + 1)
        }
        activity.findViewById<View>(R.id.copy).setOnClickListener { copy() }
        offerPrompts(activity, session.state.info?.prompting?.prompts.orEmpty()) { ask(it, 0) }
    }

    override fun show(state: SessionState) {
        if (!state.busy) asked.giveBack(refused = state.notice is Notice.Refusal)
        val answering = state.prompt.isNotEmpty()
        val written = state.text.trim()
        show(welcome, !answering)
        show(question, answering)
        if (question.text.toString() != state.prompt) question.text = state.prompt
        show(answer, answering && (written.isNotEmpty() || state.writing))
        val following = answer.bottom <= scroll.scrollY + scroll.height + answer.lineHeight
        val shown = written.ifEmpty { activity.getString(R.string.thinking) }
        if (answer.text.toString() != shown) answer.text = shown
        show(actions, !state.busy && written.isNotEmpty())
        show(send, !state.writing)
        show(stop, state.writing)
        send.isEnabled = !state.busy && state.phase != Phase.OPENING
        if (following) scroll.post { scroll.fullScroll(View.FOCUS_DOWN) }
    }

    private fun ask(text: String, attempt: Int) {
        if (session.generate(text, preferences.options(Mode.INSTRUCT), attempt)) asked.take(text)
        hideKeyboard(input)
    }

    private fun copy() {
        copyText(activity, session.state.text.trim(), R.string.answer_description)
        activity.findViewById<TextView>(R.id.status).setText(R.string.copied)
    }

    private fun show(view: View, visible: Boolean) {
        view.visibility = if (visible) View.VISIBLE else View.GONE
    }
}
