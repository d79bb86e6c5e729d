package dev.kerasfarm.app.markdown

import android.content.Context
import android.os.Handler
import android.os.Looper
import android.view.LayoutInflater
import android.view.View
import android.widget.TextView
import dev.kerasfarm.app.R

/**
 * Views for blocks to come, made while an answer grows and the screen has nothing else to do: to make one takes longer
 * than to set a word.
 */
internal class SpareViews(private val context: Context) {
    private val inflater = LayoutInflater.from(context)
    private val texts = ArrayDeque<TextView>()
    private val codes = ArrayDeque<View>()
    private val later = Handler(Looper.getMainLooper())
    private val fill = Runnable { makeOne() }
    private var wanted = false

    /** Text that can be selected and looks like a paragraph. */
    fun text(): TextView = (texts.removeLastOrNull() ?: newText()).also { refill() }

    /** The layout `code`, empty. */
    fun code(): View = (codes.removeLastOrNull() ?: newCode()).also { refill() }

    /** More blocks will come, or none: what was made for them goes. */
    fun expect(more: Boolean) {
        wanted = more
        if (more) return refill()
        later.removeCallbacks(fill)
        texts.clear()
        codes.clear()
    }

    private fun refill() {
        if (!wanted || texts.size >= TEXTS && codes.isNotEmpty()) return
        later.removeCallbacks(fill)
        later.post(fill)
    }

    /** One at a time, so that what the user does comes between. */
    private fun makeOne() {
        if (!wanted) return
        if (texts.size < TEXTS) {
            texts.addLast(newText())
        } else if (codes.isEmpty()) {
            codes.addLast(newCode())
        }
        refill()
    }

    private fun newText() = TextView(context, null, 0, R.style.Answer).apply { setTextIsSelectable(true) }

    private fun newCode(): View = inflater.inflate(R.layout.code, null)

    private companion object {
        /** As many as the heading of a table with its first row mostly has. */
        const val TEXTS = 6
    }
}
