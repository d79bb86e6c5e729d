package dev.kerasfarm.app.ui

import android.text.Spanned
import android.text.style.ForegroundColorSpan
import android.widget.EditText

/** A suggestion that stands in an editor's text in another colour, until it is accepted or taken away. */
class GhostText(private val editor: EditText, color: Int) {
    private val mark = ForegroundColorSpan(color)

    /** Where it stands, or will stand; negative while there is none. */
    var place = -1

    /** What it says. */
    var text = ""
        private set

    /** Whether the editor's text is just being changed by this class. */
    var changing = false
        private set

    /** Shows [suggestion] in place of what was shown. Words that were added are appended, so that nothing flickers. */
    fun show(suggestion: String) {
        if (place < 0 || suggestion == text) return
        val content = editor.text
        // Whatever the user changed meanwhile, the mark went along; it is gone when the whole text was replaced.
        val start = if (text.isEmpty()) place else content.getSpanStart(mark)
        val end = if (text.isEmpty()) place else content.getSpanEnd(mark)
        text = suggestion
        if (start < 0 || start > content.length) return
        changing = true
        val shown = content.substring(start, end)
        val kept = if (suggestion.startsWith(shown)) shown.length else 0
        content.replace(start + kept, end, suggestion, kept, suggestion.length)
        changing = false
        place = start
        colour()
    }

    /** Takes it away. */
    fun clear() {
        show("")
        place = -1
    }

    /** Makes it the user's own text; where that is, null when there is nothing. */
    fun accept(): IntRange? {
        val start = editor.text.getSpanStart(mark)
        val end = editor.text.getSpanEnd(mark)
        val range = if (start < 0 || start == end) null else start until end
        editor.text.removeSpan(mark)
        place = -1
        text = ""
        return range
    }

    /** Takes [length] characters at [from] for the suggestion, after the editor took its text back. */
    fun adopt(from: Int, length: Int) {
        val content = editor.text
        content.getSpans(0, content.length, ForegroundColorSpan::class.java).forEach { content.removeSpan(it) }
        if (from < 0 || from + length > content.length) return
        place = from
        text = content.substring(from, from + length)
        colour()
    }

    private fun colour() {
        val content = editor.text
        content.removeSpan(mark)
        if (text.isNotEmpty()) content.setSpan(mark, place, place + text.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
    }
}
