package dev.kerasfarm.app.ui

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.text.Editable
import android.text.TextUtils
import android.text.TextWatcher
import android.view.KeyEvent
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.ScrollView
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.chat.ChatState
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.model.Mode

/** A conversation: its turns, and the field for the next question. */
class ChatPane(private val activity: Activity, private val session: Session, private val preferences: Preferences) :
    Pane, TurnActions {
    private val chat = session.chat
    private val input = activity.findViewById<EditText>(R.id.prompt)
    private val send = activity.findViewById<View>(R.id.generate)
    private val stop = activity.findViewById<View>(R.id.stop)
    private val welcome = activity.findViewById<View>(R.id.welcome)
    private val scroll = activity.findViewById<ScrollView>(R.id.scroll)
    private val list = activity.findViewById<ViewGroup>(R.id.turns)
    private val earlier = activity.findViewById<View>(R.id.earlier)
    private val editing = activity.findViewById<View>(R.id.editing)
    private val views = ArrayList<TurnView>()
    private val voice = ReadAloud(activity) { showStatus(R.string.no_voice) }
    private val drafts = Drafts(activity)
    private var first = 0 // the first turn that has a view
    private var conversation: Long? = NONE // whose turns and draft are shown
    private val asked = AskedQuestion(input)
    private var edited: Int? = null // the turn whose question is in the field
    private var restored: Pair<Int, String>? = null // the same of an earlier process, until its conversation is there

    init {
        send.setOnClickListener { ask() }
        stop.setOnClickListener { session.stop() }
        input.setOnKeyListener { _, key, event ->
            val sends = key == KeyEvent.KEYCODE_ENTER && event.isCtrlPressed && event.action == KeyEvent.ACTION_DOWN
            if (sends) ask()
            sends
        }
        earlier.setOnClickListener {
            first = maxOf(0, first - TURNS)
            rebuild(session.state)
        }
        activity.findViewById<View>(R.id.cancel_edit).setOnClickListener { endEdit() }
        offerPrompts(activity, session.state.info?.prompting?.prompts.orEmpty()) {
            input.setText(it)
            ask()
        }
        input.addTextChangedListener(object : TextWatcher {
            override fun afterTextChanged(text: Editable) {
                if (edited == null) drafts[conversation] = text.toString()
            }

            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit
        })
        use()
    }

    /** Takes over what is set now, and shows the latest conversation when none is shown yet. */
    override fun start() {
        use()
        chat.begin()
    }

    override fun stop() = voice.stop()

    private fun use() {
        chat.options = preferences.options(Mode.CHAT)
        chat.system = preferences.system
        chat.thinking = preferences.thinking ?: session.state.info?.chat?.thinking?.wanted ?: false
    }

    override fun show(state: SessionState) {
        val shown = state.chat
        if (!shown.loaded) return
        if (!state.busy) asked.giveBack(refused = state.notice is Notice.Refusal)
        if (shown.id != conversation) change(shown)
        if (shown.turns.size - first > views.size || shown.turns.size < views.size + first) rebuild(state) else fill(state)
        show(welcome, shown.turns.isEmpty())
        show(earlier, first > 0)
        show(send, !state.writing)
        show(stop, state.writing)
        send.isEnabled = !state.busy && state.phase != Phase.OPENING
        activity.findViewById<TextView>(R.id.title).run {
            val title = shown.title.ifEmpty { activity.getString(R.string.app_name) }
            if (text.toString() != title) text = title
            maxLines = 2
            ellipsize = TextUtils.TruncateAt.END
        }
        showProgress(state)
        activity.findViewById<TextView>(R.id.status).run {
            // Read out once it is still: not with every token.
            val still = if (state.busy) View.ACCESSIBILITY_LIVE_REGION_NONE else View.ACCESSIBILITY_LIVE_REGION_POLITE
            if (accessibilityLiveRegion != still) accessibilityLiveRegion = still
            text = chatStatus(state, resources)
        }
    }

    /** How much of the conversation is read; of how much is only known while it is. */
    private fun showProgress(state: SessionState) = activity.findViewById<ProgressBar>(R.id.progress).run {
        val reading = state.chat.total > 0
        val waiting = state.phase == Phase.OPENING || state.phase == Phase.READING
        visibility = if (reading || waiting) View.VISIBLE else View.INVISIBLE
        isIndeterminate = !reading
        if (reading) {
            max = state.chat.total
            progress = state.chat.read
        }
    }

    /** Another conversation is shown. What a new one was called is known once it is kept. */
    private fun change(shown: ChatState) {
        val became = conversation == null && shown.turns.isNotEmpty() && views.isNotEmpty()
        if (became) {
            drafts[shown.id] = drafts[null]
            drafts[null] = ""
        }
        conversation = shown.id
        if (became) return
        endEdit()
        voice.stop()
        first = maxOf(0, shown.turns.size - TURNS)
        views.clear()
        list.removeAllViews()
        val draft = drafts[conversation]
        if (input.text.toString() != draft) input.setText(draft)
        input.setSelection(input.length())
        restored?.takeIf { (index, _) -> index < shown.turns.size }?.let { (index, text) -> edit(index, text) }
        restored = null
    }

    private fun rebuild(state: SessionState) {
        val count = state.chat.turns.size - first
        while (views.size > count) {
            views.removeAt(views.size - 1)
            list.removeViewAt(list.childCount - 1)
        }
        while (views.size < count) {
            val root = activity.layoutInflater.inflate(R.layout.turn, list, false)
            views.add(TurnView(root, this))
            list.addView(root)
        }
        fill(state)
        scroll.post { scroll.fullScroll(View.FOCUS_DOWN) }
    }

    private fun fill(state: SessionState) {
        val shown = state.chat
        val following = list.bottom <= scroll.scrollY + scroll.height + scroll.paddingTop + NEAR
        for ((place, view) in views.withIndex()) {
            val index = first + place
            val last = index == shown.turns.size - 1
            view.show(index, shown.turns[index], last, state.writing, last && shown.unsuitable, state.info?.name)
            view.showDropped(if (index == shown.dropped) index else 0)
        }
        if (following && state.writing) scroll.post { scroll.fullScroll(View.FOCUS_DOWN) }
    }

    private fun ask() {
        val text = input.text.toString().trim()
        val index = edited
        val taken = if (index == null) chat.send(text) else chat.edit(index, text)
        if (!taken) return
        voice.stop()
        edited = null
        show(editing, false)
        asked.take(text)
        hideKeyboard(input)
    }

    override fun edit(view: TurnView) {
        edit(view.index, session.state.chat.turns[view.index].question)
        input.requestFocus()
    }

    private fun edit(index: Int, text: String) {
        edited = index
        input.setText(text)
        input.setSelection(input.length())
        show(editing, true)
    }

    private fun endEdit() {
        if (edited == null) return
        edited = null
        show(editing, false)
        input.setText(drafts[conversation])
    }

    override fun copy(text: String, description: Int) {
        copyText(activity, text, description)
        showStatus(R.string.copied)
    }

    override fun share(text: String) {
        val intent = Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text)
        activity.startActivity(Intent.createChooser(intent, null))
    }

    override fun speak(text: String) = voice.toggle(text)

    override fun again() {
        if (chat.regenerate()) voice.stop()
    }

    override fun discard() = chat.discard()

    override fun save(into: Bundle) {
        into.putLong(CONVERSATION, session.state.chat.id ?: 0)
        edited?.let {
            into.putInt(EDITED, it)
            into.putString(QUESTION, input.text.toString())
        }
    }

    override fun restore(saved: Bundle) {
        val id = saved.getLong(CONVERSATION)
        if (id > 0) chat.open(id)
        val question = saved.getString(QUESTION) ?: return
        val index = saved.getInt(EDITED)
        if (id == conversation) edit(index, question) else restored = index to question
    }

    override fun close() = voice.close()

    private fun showStatus(words: Int) = activity.findViewById<TextView>(R.id.status).setText(words)

    private fun show(view: View, visible: Boolean) {
        view.visibility = if (visible) View.VISIBLE else View.GONE
    }

    private companion object {
        const val NONE = -1L
        const val CONVERSATION = "conversation"
        const val EDITED = "edited"
        const val QUESTION = "question"

        /** So many turns get views at once. */
        const val TURNS = 40

        /** Who is so close to the end, in pixels, sees what comes. */
        const val NEAR = 100
    }
}
