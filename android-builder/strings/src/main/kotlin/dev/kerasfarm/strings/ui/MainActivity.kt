package dev.kerasfarm.strings.ui

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.view.View
import android.view.WindowInsets
import android.view.inputmethod.InputMethodManager
import android.widget.Button
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.SeekBar
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.strings.engine.Options
import dev.kerasfarm.strings.engine.Outcome

/** The one screen of the I/O mode `strings`: a prompt and what the model writes on from it, all at once. */
class MainActivity : Activity() {
    private lateinit var work: Work
    private val prompt by lazy { findViewById<EditText>(R.id.prompt) }
    private val length by lazy { findViewById<SeekBar>(R.id.length) }
    private val lengthLabel by lazy { findViewById<TextView>(R.id.length_label) }
    private val generate by lazy { findViewById<Button>(R.id.generate) }
    private val stop by lazy { findViewById<Button>(R.id.stop) }
    private val progress by lazy { findViewById<ProgressBar>(R.id.progress) }
    private val output by lazy { findViewById<TextView>(R.id.output) }
    private val status by lazy { findViewById<TextView>(R.id.status) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.strings_main)
        keepClear(findViewById(R.id.root))
        work = (application as StringsApplication).work
        generate.setOnClickListener { write() }
        stop.setOnClickListener { work.stop() }
        length.max = LONGEST / STEP - 1
        length.progress = FIRST / STEP - 1
        length.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, value: Int, fromUser: Boolean) = showLength()

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
        showLength()
    }

    override fun onStart() {
        super.onStart()
        work.observer = { show(work.seen) }
        work.prepare()
        show(work.seen)
    }

    override fun onStop() {
        work.observer = null
        super.onStop()
    }

    override fun onDestroy() {
        if (isFinishing) work.release()
        super.onDestroy()
    }

    private fun write() {
        prompt.clearFocus()
        getSystemService(InputMethodManager::class.java).hideSoftInputFromWindow(prompt.windowToken, 0)
        work.write(prompt.text.toString(), Options((length.progress + 1) * STEP))
    }

    private fun showLength() {
        val tokens = (length.progress + 1) * STEP
        lengthLabel.text = resources.getQuantityString(R.plurals.strings_length, tokens, tokens)
    }

    private fun show(seen: Seen) {
        generate.isEnabled = !seen.busy
        stop.isEnabled = seen.busy && seen.info != null
        progress.visibility = if (seen.busy) View.VISIBLE else View.INVISIBLE
        val outcome = seen.outcome
        if (outcome is Outcome.Text) {
            // An output that did not begin with the prompt is shown as it is, without a draft at where it goes on.
            val before = if (outcome.answer.echoed) seen.prompt else ""
            output.text = before + outcome.answer.text
        } else {
            output.text = ""
        }
        status.text = sentence(seen)
    }

    private fun sentence(seen: Seen): String {
        if (seen.memory) return getString(R.string.strings_no_memory)
        seen.fault?.let { return getString(R.string.strings_unusable, it) }
        val info = seen.info
        if (seen.busy) return getString(if (info == null) R.string.strings_opening else R.string.strings_writing)
        return when (val outcome = seen.outcome) {
            null -> info?.let { getString(R.string.strings_ready, it.name, it.recipe) }.orEmpty()
            is Outcome.Text ->
                if (outcome.left > 0) {
                    getString(R.string.strings_cut, outcome.left)
                } else {
                    getString(R.string.strings_done, outcome.seconds)
                }
            Outcome.EmptyPrompt -> getString(R.string.strings_empty_prompt)
            Outcome.UnsuitablePrompt -> getString(R.string.strings_unsuitable_prompt)
            Outcome.UnsuitableText -> getString(R.string.strings_unsuitable_text)
            Outcome.Stopped -> getString(R.string.strings_stopped)
        }
    }

    /** From Android 15 on the window reaches behind the system's bars. */
    private fun keepClear(root: View) {
        root.setOnApplyWindowInsetsListener { view, insets ->
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                val kinds = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or WindowInsets.Type.ime()
                val covered = insets.getInsets(kinds)
                view.setPadding(covered.left, covered.top, covered.right, covered.bottom)
            }
            insets
        }
        root.fitsSystemWindows = Build.VERSION.SDK_INT < Build.VERSION_CODES.R
    }

    private companion object {
        const val STEP = 8
        const val FIRST = 64
        const val LONGEST = 256
    }
}
