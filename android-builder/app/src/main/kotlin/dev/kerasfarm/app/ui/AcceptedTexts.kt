package dev.kerasfarm.app.ui

import android.text.NoCopySpan
import android.text.Spanned
import android.widget.EditText

/** The suggestions that were accepted, wherever later changes of the text moved them: the last one can be undone. */
class AcceptedTexts(private val editor: EditText) {
    private val marks = ArrayList<Mark>()

    /** Whether there is something to undo. */
    val any: Boolean get() = marks.any { range(it) != null }

    /** Remembers that [range] was accepted. */
    fun add(range: IntRange) {
        val mark = Mark()
        editor.text.setSpan(mark, range.first, range.last + 1, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        marks.add(mark)
    }

    /** Takes the last one out of the text. */
    fun undo() {
        while (marks.isNotEmpty()) {
            val range = range(marks.removeAt(marks.size - 1)) ?: continue
            editor.text.delete(range.first, range.last + 1)
            return
        }
    }

    /** Beginnings and ends, in the order of acceptance. */
    fun places(): IntArray = marks.mapNotNull { range(it) }.flatMap { listOf(it.first, it.last + 1) }.toIntArray()

    /** Remembers what [places] told of the same text. */
    fun adopt(places: IntArray) {
        for (at in 0 until places.size - 1 step 2) {
            if (places[at] < places[at + 1] && places[at + 1] <= editor.length()) add(places[at] until places[at + 1])
        }
    }

    private fun range(mark: Mark): IntRange? {
        val start = editor.text.getSpanStart(mark)
        val end = editor.text.getSpanEnd(mark)
        return if (start in 0 until end) start until end else null
    }

    private class Mark : NoCopySpan
}
