package dev.kerasfarm.app.ui

import android.view.View
import android.widget.Button
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.markdown.MarkdownView
import dev.kerasfarm.generation.chat.Turn

/** What a turn's buttons do. */
interface TurnActions {
    /** Puts the question into the field, to be asked in other words. */
    fun edit(view: TurnView)

    /** Copies [text], which [description] names. */
    fun copy(text: String, description: Int)

    /** Hands the answer on to another app. */
    fun share(text: String)

    /** Reads the answer aloud, or stops that. */
    fun speak(text: String)

    /** Answers the last question once more. */
    fun again()

    /** Takes the last turn back. */
    fun discard()
}

/** One turn of a conversation in the layout `turn`: a question, and below it the answer with its buttons. */
class TurnView(val root: View, private val actions: TurnActions) {
    private val question = root.findViewById<TextView>(R.id.question)
    private val edit = root.findViewById<View>(R.id.edit)
    private val thoughtSwitch = root.findViewById<Button>(R.id.thought_switch)
    private val thought = root.findViewById<TextView>(R.id.thought)
    private val answer = root.findViewById<MarkdownView>(R.id.answer)
    private val answeredBy = root.findViewById<TextView>(R.id.answered_by)
    private val row = root.findViewById<View>(R.id.actions)
    private val dropped = root.findViewById<TextView>(R.id.dropped)
    private var shown: Turn? = null
    private var opened = false

    /** Which turn it is, counted from 0. */
    var index = 0
        private set

    init {
        edit.setOnClickListener { actions.edit(this) }
        root.findViewById<View>(R.id.copy).setOnClickListener { actions.copy(text(), R.string.answer_description) }
        root.findViewById<View>(R.id.share).setOnClickListener { actions.share(text()) }
        root.findViewById<View>(R.id.speak).setOnClickListener { actions.speak(text()) }
        root.findViewById<View>(R.id.again).setOnClickListener { actions.again() }
        root.findViewById<View>(R.id.discard).setOnClickListener { actions.discard() }
        answer.onCopy = { actions.copy(it, R.string.code) }
        thoughtSwitch.setOnClickListener {
            opened = !opened
            showThought()
        }
    }

    /** Shows [turn]; [last]: it is the last one, [writing]: which the model is at, [unsuitable]: whose answer may go. */
    fun show(index: Int, turn: Turn, last: Boolean, writing: Boolean, unsuitable: Boolean, model: String?) {
        this.index = index
        val before = shown
        shown = turn
        if (before?.question != turn.question) question.text = turn.question
        if (before?.answer != turn.answer || before?.thought != turn.thought || before == null || last) {
            val text = turn.answer.orEmpty().trim()
            val grows = last && writing
            answer.show(if (text.isBlank() && grows) root.context.getString(R.string.thinking) else text, !grows)
            show(answer, text.isNotBlank() || last && writing)
            showThought()
        }
        val written = !(last && writing)
        show(edit, written)
        show(row, written)
        val empty = turn.answer.isNullOrBlank()
        for (id in listOf(R.id.copy, R.id.share, R.id.speak)) show(root.findViewById(id), !empty)
        show(root.findViewById(R.id.again), last)
        show(root.findViewById(R.id.discard), last && unsuitable)
        val other = turn.model
        show(answeredBy, other != null)
        answeredBy.text = when (other) {
            null -> ""
            model -> root.context.getString(R.string.answered_by_earlier, other)
            else -> root.context.getString(R.string.answered_by, other)
        }
    }

    /** Says above it that the model does not read the [count] turns before; 0: it does. */
    fun showDropped(count: Int) {
        show(dropped, count > 0)
        if (count > 0) dropped.text = root.resources.getQuantityString(R.plurals.dropped_turns, count, count)
    }

    private fun showThought() {
        val text = shown?.thought
        show(thoughtSwitch, text != null)
        show(thought, text != null && opened)
        thoughtSwitch.setText(if (opened) R.string.hide_thought else R.string.show_thought)
        if (text != null && opened && thought.text.toString() != text) thought.text = text
    }

    private fun text(): String = shown?.answer.orEmpty().trim()

    private fun show(view: View, visible: Boolean) {
        view.visibility = if (visible) View.VISIBLE else View.GONE
    }
}
