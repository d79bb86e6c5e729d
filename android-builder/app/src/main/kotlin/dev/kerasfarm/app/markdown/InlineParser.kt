package dev.kerasfarm.app.markdown

/** How a part of a line looks. */
enum class Look { BOLD, ITALIC, CODE, STRUCK, LINK }

/** The characters from [start] until [end] of a text have this [look]. */
data class Mark(val look: Look, val start: Int, val end: Int)

/** A line without its signs. */
class Inline(val text: String, val marks: List<Mark>)

/** Reads emphasis, code and links out of [source]; a sign without its other half is text. */
fun parseInline(source: String): Inline = InlineReader(source).read()

private class InlineReader(private val source: String) {
    private val out = StringBuilder(source.length)
    private val marks = ArrayList<Mark>()
    private val open = ArrayList<Open>() // emphasis that waits for its end
    private var at = 0

    private class Open(val sign: String, val start: Int, val place: Int)

    fun read(): Inline {
        while (at < source.length) {
            when (val letter = source[at]) {
                '\\' -> escape()
                '`' -> code()
                '*', '_', '~' -> emphasis(letter)
                '[' -> link()
                else -> {
                    out.append(letter)
                    at++
                }
            }
        }
        // What never ended was no emphasis: its signs come back, the last ones first, so that places before them hold.
        for (one in open.asReversed()) insert(one)
        return Inline(out.toString(), marks)
    }

    private fun insert(one: Open) {
        out.insert(one.start, one.sign)
        for ((index, mark) in marks.withIndex()) {
            val start = if (mark.start >= one.start) mark.start + one.sign.length else mark.start
            val end = if (mark.end > one.start) mark.end + one.sign.length else mark.end
            marks[index] = mark.copy(start = start, end = end)
        }
    }

    private fun escape() {
        val next = source.getOrNull(at + 1)
        if (next != null && next in ESCAPABLE) {
            out.append(next)
            at += 2
        } else {
            out.append('\\')
            at++
        }
    }

    private fun code() {
        val run = runAt(at)
        val end = closing(at + run, run)
        if (end < 0) {
            out.append(source, at, at + run)
            at += run
            return
        }
        val start = out.length
        val inner = source.substring(at + run, end)
        val bare = inner.length > 2 && inner.startsWith(" ") && inner.endsWith(" ")
        out.append(if (bare) inner.substring(1, inner.length - 1) else inner)
        marks.add(Mark(Look.CODE, start, out.length))
        at = end + run
    }

    /** Where as many backticks stand as began it; -1 where they don't. */
    private fun closing(from: Int, run: Int): Int {
        var place = source.indexOf('`', from)
        while (place >= 0) {
            val length = runAt(place)
            if (length == run) return place
            place = source.indexOf('`', place + length)
        }
        return -1
    }

    private fun emphasis(letter: Char) {
        val run = runAt(at)
        if (letter == '~' && run != 2) return plain(run)
        val before = source.getOrNull(at - 1)
        val behind = source.getOrNull(at + run)
        val opens = behind != null && !behind.isWhitespace() && (letter != '_' || before?.isLetterOrDigit() != true)
        val closes = before != null && !before.isWhitespace() && (letter != '_' || behind?.isLetterOrDigit() != true)
        var left = run
        while (left > 0 && closes) {
            val index = open.indexOfLast { it.sign[0] == letter && it.sign.length <= left && it.place < at }
            if (index < 0) break
            val one = open.removeAt(index)
            // Emphasis that began inside of it and did not end there is none.
            while (open.size > index) insert(open.removeAt(open.size - 1))
            if (out.length > one.start) marks.add(Mark(lookOf(one.sign), one.start, out.length))
            left -= one.sign.length
        }
        if (left > 0 && opens) {
            if (left >= 2) open.add(Open("$letter$letter", out.length, at))
            if (left % 2 == 1 && letter != '~') open.add(Open("$letter", out.length, at))
            if (left > 3) out.append(letter.toString().repeat(left - 3))
        } else {
            out.append(letter.toString().repeat(left))
        }
        at += run
    }

    private fun plain(run: Int) {
        out.append(source, at, at + run)
        at += run
    }

    private fun lookOf(sign: String): Look = when {
        sign[0] == '~' -> Look.STRUCK
        sign.length == 2 -> Look.BOLD
        else -> Look.ITALIC
    }

    private fun link() {
        val found = LINK.matchAt(source, at)
        if (found == null) {
            out.append('[')
            at++
            return
        }
        val start = out.length
        out.append(found.groupValues[1])
        marks.add(Mark(Look.LINK, start, out.length))
        at = found.range.last + 1
    }

    private fun runAt(place: Int): Int {
        var end = place
        while (end < source.length && source[end] == source[place]) end++
        return end - place
    }

    private companion object {
        const val ESCAPABLE = "\\`*_{}[]()#+-.!|~<>"
        val LINK = Regex("\\[([^\\[\\]\\n]{1,500})]\\([^()\\s]{0,2000}\\)")
    }
}
