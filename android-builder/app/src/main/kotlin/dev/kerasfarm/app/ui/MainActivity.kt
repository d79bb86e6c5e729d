package dev.kerasfarm.app.ui

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.text.SpannableStringBuilder
import android.text.Spanned
import android.text.style.ForegroundColorSpan
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.Button
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.ScrollView
import android.widget.SeekBar
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.SessionState

/** The one screen: a prompt, what the model writes on from it, and how fast. Draws the session's state. */
class MainActivity : Activity() {
    private lateinit var session: Session
    private lateinit var preferences: Preferences
    private val prompt by lazy { findViewById<EditText>(R.id.prompt) }
    private val limitLabel by lazy { findViewById<TextView>(R.id.limit_label) }
    private val limit by lazy { findViewById<SeekBar>(R.id.limit) }
    private val generate by lazy { findViewById<Button>(R.id.generate) }
    private val stop by lazy { findViewById<Button>(R.id.stop) }
    private val progress by lazy { findViewById<ProgressBar>(R.id.progress) }
    private val scroll by lazy { findViewById<ScrollView>(R.id.scroll) }
    private val output by lazy { findViewById<TextView>(R.id.output) }
    private val notice by lazy { findViewById<TextView>(R.id.notice) }
    private val status by lazy { findViewById<TextView>(R.id.status) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        keepClearOfSystemBars(findViewById(R.id.root))
        session = (application as AutocompleteApplication).session
        preferences = Preferences(this)
        setUpLimit()
        generate.setOnClickListener { startGenerating() }
        stop.setOnClickListener { session.stop() }
        findViewById<View>(R.id.settings).setOnClickListener {
            startActivity(Intent(this, SettingsActivity::class.java))
        }
    }

    override fun onStart() {
        super.onStart()
        session.observer = { show(session.state) }
        session.prepare()
        show(session.state)
    }

    override fun onStop() {
        session.observer = null
        super.onStop()
    }

    override fun onDestroy() {
        // Turned over, the screen comes back at once; left for good, the model's memory goes back to the phone.
        if (isFinishing) session.release()
        super.onDestroy()
    }

    private fun startGenerating() {
        prompt.clearFocus()
        getSystemService(InputMethodManager::class.java).hideSoftInputFromWindow(prompt.windowToken, 0)
        session.generate(prompt.text.toString(), preferences.options)
    }

    private fun setUpLimit() {
        limit.max = Preferences.LIMIT_HIGHEST / Preferences.LIMIT_STEP - 1
        limit.progress = preferences.limit / Preferences.LIMIT_STEP - 1
        showLimit()
        limit.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, value: Int, fromUser: Boolean) {
                preferences.limit = (value + 1) * Preferences.LIMIT_STEP
                showLimit()
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
    }

    private fun showLimit() {
        limitLabel.text = resources.getQuantityString(R.plurals.limit, preferences.limit, preferences.limit)
    }

    private fun show(state: SessionState) {
        generate.isEnabled = !state.busy && state.phase != Phase.OPENING
        stop.isEnabled = state.busy
        val waiting = state.phase == Phase.OPENING || state.phase == Phase.READING
        progress.visibility = if (waiting) View.VISIBLE else View.INVISIBLE
        showText(state)
        status.text = status(state, resources)
        val sentence = state.notice?.let { sentence(it, resources) }
        notice.visibility = if (sentence == null) View.GONE else View.VISIBLE
        if (notice.text.toString() != sentence.orEmpty()) notice.text = sentence.orEmpty()
    }

    /** The prompt in a quieter colour, then what was written; scrolled along as long as the end is in view. */
    private fun showText(state: SessionState) {
        val whole = state.prompt + state.text
        if (output.text.toString() == whole) return
        val following = output.height <= scroll.scrollY + scroll.height + output.lineHeight
        val text = SpannableStringBuilder(whole)
        val quiet = ForegroundColorSpan(getColor(R.color.text_secondary))
        text.setSpan(quiet, 0, state.prompt.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        output.text = text
        if (following) scroll.post { scroll.scrollTo(0, output.height) }
    }
}
