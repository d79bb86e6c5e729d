package dev.kerasfarm.app.ui

import android.content.Intent
import android.text.Editable
import android.text.TextWatcher
import android.view.View
import android.widget.EditText
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.generation.windowFor
import kotlin.math.roundToInt

/** How tokens are chosen, and how much of the text the model reads. Every change counts at once. */
class SettingsActivity : ModelActivity() {
    override fun build(state: SessionState) {
        setContentView(R.layout.settings)
        setUpHeader(R.string.settings)
        val mode = state.info?.prompting?.mode ?: Mode.COMPLETE
        setUpChat(state.info?.chat.takeIf { mode == Mode.CHAT })
        setUpLimit(mode)
        // A conversation has the whole context.
        if (mode == Mode.CHAT) hideWindow() else setUpWindow(state.info?.context)
        setUpSampling()
        setUpSeed()
        findViewById<View>(R.id.open_measure).setOnClickListener { startActivity(Intent(this, MeasureActivity::class.java)) }
        findViewById<View>(R.id.open_about).setOnClickListener { startActivity(Intent(this, AboutActivity::class.java)) }
    }

    private fun setUpLimit(mode: Mode) {
        val step = Preferences.LIMIT_STEP
        bar(R.id.limit, R.id.limit_label, 1..Preferences.LIMIT_HIGHEST / step, preferences.limitOf(mode) / step) { value ->
            // What was never changed stays what is best for the mode.
            if (value * step != preferences.limitOf(mode)) preferences.limit = value * step
            resources.getQuantityString(R.plurals.limit, value * step, value * step)
        }
    }

    private fun setUpSampling() {
        val now = preferences.sampling
        val highest = (Preferences.TEMPERATURE_HIGHEST * STEPS).roundToInt()
        bar(R.id.temperature, R.id.temperature_label, 0..highest, hundredths(now.temperature)) { value ->
            change { it.copy(temperature = value / STEPS) }
            if (value == 0) getString(R.string.temperature_greedy) else getString(R.string.temperature, value / STEPS)
        }
        bar(R.id.top_k, R.id.top_k_label, 0..Preferences.TOP_K_HIGHEST, now.topK) { value ->
            change { it.copy(topK = value) }
            if (value == 0) getString(R.string.top_k_all) else getString(R.string.top_k, value)
        }
        bar(R.id.top_p, R.id.top_p_label, hundredths(Preferences.TOP_P_LOWEST)..100, hundredths(now.topP)) { value ->
            change { it.copy(topP = value / STEPS) }
            getString(R.string.top_p, value)
        }
        bar(R.id.min_p, R.id.min_p_label, 0..hundredths(Preferences.MIN_P_HIGHEST), hundredths(now.minP)) { value ->
            change { it.copy(minP = value / STEPS) }
            if (value == 0) getString(R.string.min_p_none) else getString(R.string.min_p, value)
        }
        val most = hundredths(Preferences.PENALTY_HIGHEST)
        bar(R.id.penalty, R.id.penalty_label, 100..most, hundredths(now.repetitionPenalty)) { value ->
            change { it.copy(repetitionPenalty = value / STEPS) }
            if (value == 100) getString(R.string.penalty_none) else getString(R.string.penalty, value / STEPS)
        }
    }

    private fun setUpSeed() = field(R.id.seed, preferences.sampling.seed?.toString().orEmpty()) { text ->
        change { it.copy(seed = text.toLongOrNull()) }
    }

    /** What the model is told before a conversation, and whether it thinks; each where its [template] has a place for it. */
    private fun setUpChat(template: ChatTemplate?) {
        show(template?.takesSystem == true, R.id.system_heading, R.id.system, R.id.system_explanation)
        if (template?.takesSystem == true) {
            template.defaultSystem?.let { findViewById<EditText>(R.id.system).hint = it }
            field(R.id.system, preferences.system.orEmpty()) { preferences.system = it }
        }
        val thinking = template?.thinking?.takeUnless { it.always }
        show(thinking != null, R.id.thinking_switch)
        if (thinking == null) return
        findViewById<Switch>(R.id.thinking_switch).run {
            isChecked = preferences.thinking ?: thinking.wanted
            setOnCheckedChangeListener { _, checked -> preferences.thinking = checked }
        }
    }

    private fun hideWindow() = show(
        false,
        R.id.window_heading,
        R.id.window_label,
        R.id.window,
        R.id.window_picture,
        R.id.window_explanation,
    )

    private fun show(visible: Boolean, vararg ids: Int) {
        for (id in ids) findViewById<View>(id).visibility = if (visible) View.VISIBLE else View.GONE
    }

    /** Sets up a field with [text]; [changed] stores what is typed. */
    private fun field(id: Int, text: String, changed: (String) -> Unit) = findViewById<EditText>(id).run {
        setText(text)
        addTextChangedListener(object : TextWatcher {
            override fun afterTextChanged(text: Editable) = changed(text.toString())

            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit
        })
    }

    /** The window's bar needs a model's context. */
    private fun setUpWindow(context: Int?) {
        show(context != null, R.id.window, R.id.window_picture, R.id.window_explanation)
        if (context == null) return findViewById<TextView>(R.id.window_label).setText(R.string.window_no_model)
        val picture = findViewById<WindowPicture>(R.id.window_picture)
        val chosen = windowFor(preferences.window, context)
        bar(R.id.window, R.id.window_label, 1 until context, chosen) { value ->
            // Half stays "half" for a model with another context.
            preferences.window = value.takeIf { it != windowFor(null, context) }
            picture.show(value, context)
            getString(R.string.window, value, context)
        }
    }

    private fun change(next: (Sampling) -> Sampling) {
        preferences.sampling = next(preferences.sampling)
    }

    /** Sets up a bar over [values]; [changed] stores a value and gives the label's words. */
    private fun bar(id: Int, label: Int, values: IntRange, value: Int, changed: (Int) -> String) {
        val text = findViewById<TextView>(label)
        val bar = findViewById<SeekBar>(id)
        bar.max = values.last - values.first
        bar.progress = value - values.first
        text.text = changed(value)
        bar.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
                text.text = changed(values.first + progress)
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
    }

    private fun hundredths(value: Float): Int = (value * STEPS).roundToInt()

    private companion object {
        /** Bars count in hundredths. */
        const val STEPS = 100f
    }
}
