package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.filter.WordFilter

/**
 * A text that is being written, of which only whole words are shown: the last, unfinished one might become unsuitable.
 *
 * Without a [filter] everything is shown at once.
 */
internal class FilteredText(private val filter: WordFilter?) {
    private val text = StringBuilder()
    private var shown = 0

    /** Whether an unsuitable word was found. */
    var unsuitable = false
        private set

    /** Adds [part] and returns what may be shown in addition. */
    fun push(part: String): String {
        text.append(part)
        if (filter == null) return release(text.length)
        if (part.isNotEmpty()) check(filter)
        val border = text.indexOfLast { !it.isLetterOrDigit() } + 1
        // Text without spaces is held back by as much as a word may have.
        return release(maxOf(border, text.length - filter.longest))
    }

    /** Ends the text and returns its rest. */
    fun finish(): String {
        if (filter != null) check(filter)
        return release(text.length)
    }

    private fun check(filter: WordFilter) {
        if (filter.find(text.toString()) != null) unsuitable = true
    }

    private fun release(end: Int): String {
        if (unsuitable || end <= shown) return ""
        return text.substring(shown, end).also { shown = end }
    }
}
