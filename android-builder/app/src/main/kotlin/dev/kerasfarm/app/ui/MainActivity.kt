package dev.kerasfarm.app.ui

import android.content.Intent
import android.os.Bundle
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.model.Mode

/** The first screen: a text that the model continues, a question that it answers, a conversation, or how to add a model. */
class MainActivity : ModelActivity() {
    private var pane: Pane? = null

    override fun build(state: SessionState) {
        val mode = state.info?.prompting?.mode ?: Mode.COMPLETE
        val missing = state.notice is Notice.NoModel
        setContentView(
            when {
                missing -> R.layout.no_model
                mode == Mode.INSTRUCT -> R.layout.instruct
                mode == Mode.CHAT -> R.layout.chat
                else -> R.layout.complete
            },
        )
        keepClearOfSystemBars(findViewById(R.id.root))
        findViewById<TextView>(R.id.title).setText(R.string.app_name)
        findViewById<View>(R.id.back).visibility = View.GONE
        opens(R.id.settings, SettingsActivity::class.java)
        opens(R.id.about, AboutActivity::class.java)
        if (missing) return
        pane = when (mode) {
            Mode.COMPLETE -> CompletePane(this, session, preferences)
            Mode.INSTRUCT -> InstructPane(this, session, preferences)
            Mode.CHAT -> {
                opens(R.id.conversations, ConversationsActivity::class.java)
                findViewById<View>(R.id.new_chat).run {
                    visibility = View.VISIBLE
                    setOnClickListener { session.chat.new() }
                }
                // Three icons leave room for a title; the settings lead there too.
                findViewById<View>(R.id.about).visibility = View.GONE
                ChatPane(this, session, preferences)
            }
        }
        pane?.start()
    }

    override fun show(state: SessionState) {
        val sentence = state.notice?.let { sentence(it, resources) }
        findViewById<TextView>(R.id.notice).run {
            visibility = if (sentence == null) View.GONE else View.VISIBLE
            if (text.toString() != sentence.orEmpty()) text = sentence.orEmpty()
        }
        val pane = pane ?: return
        findViewById<TextView>(R.id.status).text = status(state, resources)
        val waiting = state.phase == Phase.OPENING || state.phase == Phase.READING
        findViewById<View>(R.id.progress).visibility = if (waiting) View.VISIBLE else View.INVISIBLE
        pane.show(state)
    }

    /** The process may be gone when the user comes back, and what was written with it. */
    override fun save(into: Bundle) {
        val state = session.state
        into.putString(PROMPT, state.prompt)
        into.putString(TEXT, state.text)
        into.putInt(TOKENS, state.tokens)
        into.putDouble(RATE, state.tokensPerSecond)
        pane?.save(into)
    }

    override fun restored(saved: Bundle) {
        session.restore(
            saved.getString(PROMPT).orEmpty(),
            saved.getString(TEXT).orEmpty(),
            saved.getInt(TOKENS),
            saved.getDouble(RATE),
        )
        pane?.restore(saved)
    }

    override fun onStart() {
        super.onStart()
        pane?.start()
    }

    override fun onStop() {
        pane?.stop()
        super.onStop()
    }

    override fun onDestroy() {
        pane?.close()
        // Turned over, the screen comes back at once; left for good, the model's memory goes back to the phone.
        if (isFinishing) session.release()
        super.onDestroy()
    }

    private fun opens(button: Int, screen: Class<*>) {
        findViewById<View>(button).run {
            visibility = View.VISIBLE
            setOnClickListener { startActivity(Intent(this@MainActivity, screen)) }
        }
    }

    private companion object {
        const val PROMPT = "prompt"
        const val TEXT = "text"
        const val TOKENS = "tokens"
        const val RATE = "rate"
    }
}

/** The part of the first screen that differs by mode. */
interface Pane {
    /** Shows [state]. */
    fun show(state: SessionState)

    /** The screen is seen. */
    fun start() = Unit

    /** The screen is not seen any more. */
    fun stop() = Unit

    /** The screen is gone. */
    fun close() = Unit

    /** Puts away what its views do not. */
    fun save(into: Bundle) = Unit

    /** Takes back what [save] put away, after the views took back their part. */
    fun restore(saved: Bundle) = Unit
}

/** Takes the keyboard away from the screen that [view] is in. */
fun hideKeyboard(view: View) {
    view.clearFocus()
    view.context.getSystemService(InputMethodManager::class.java).hideSoftInputFromWindow(view.windowToken, 0)
}
