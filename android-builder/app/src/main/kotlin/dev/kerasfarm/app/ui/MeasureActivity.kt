package dev.kerasfarm.app.ui

import android.content.Intent
import android.os.Build
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Device
import dev.kerasfarm.app.generation.Measurement
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.SessionState

/** How fast the model is on this phone, to be shared as JSON that `farm import-metrics` takes in. */
class MeasureActivity : ModelActivity() {
    private val start by lazy { findViewById<Button>(R.id.start) }
    private val share by lazy { findViewById<Button>(R.id.share) }
    private val figures by lazy { findViewById<ViewGroup>(R.id.figures) }

    override fun build(state: SessionState) {
        setContentView(R.layout.measure)
        setUpHeader(R.string.measure)
        start.setOnClickListener { session.measure() }
        share.setOnClickListener { session.state.measurement?.let { share(it) } }
    }

    override fun show(state: SessionState) {
        val measuring = state.phase == Phase.MEASURING
        start.isEnabled = !state.busy && state.phase != Phase.OPENING
        start.setText(if (measuring) R.string.measuring else R.string.measure_start)
        findViewById<View>(R.id.progress).visibility = if (measuring) View.VISIBLE else View.INVISIBLE
        val notice = findViewById<TextView>(R.id.notice)
        notice.text = state.notice?.let { sentence(it, resources) }
        notice.visibility = if (state.notice == null) View.GONE else View.VISIBLE
        val found = state.measurement
        share.visibility = if (found == null) View.GONE else View.VISIBLE
        figures.visibility = share.visibility
        if (found != null) show(found)
    }

    private fun show(found: Measurement) {
        figures.removeAllViews()
        figure(R.string.first_token, getString(R.string.milliseconds, found.firstTokenSeconds * 1000))
        figure(R.string.token_rate, getString(R.string.per_second, found.tokensPerSecond))
        found.peakMemoryBytes?.let { figure(R.string.peak_memory, getString(R.string.megabytes, it / 1e6)) }
        findViewById<TextView>(R.id.how).text =
            getString(R.string.measured_how, found.runs, found.promptTokens, found.newTokens, found.threads)
    }

    private fun figure(name: Int, value: String) {
        val view = layoutInflater.inflate(R.layout.figure, figures, false)
        view.findViewById<TextView>(R.id.figure_value).text = value
        view.findViewById<TextView>(R.id.figure_name).setText(name)
        figures.addView(view)
    }

    private fun share(found: Measurement) {
        val send = Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, found.toJson(device()))
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    private fun device() = Device(
        name = "${Build.MANUFACTURER} ${Build.MODEL}",
        android = Build.VERSION.RELEASE,
        abi = Build.SUPPORTED_ABIS.firstOrNull().orEmpty(),
        appVersion = packageManager.getPackageInfo(packageName, 0).versionName.orEmpty(),
    )
}
