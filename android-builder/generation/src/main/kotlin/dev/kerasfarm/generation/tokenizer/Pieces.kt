package dev.kerasfarm.generation.tokenizer

/** A text in pieces: its code points, and the end of each piece; the pieces lie side by side. */
internal class Pieces(val points: IntArray, val ends: IntArray) {
    /** Calls [piece] with the begin and end of each. */
    inline fun forEach(piece: (Int, Int) -> Unit) {
        var start = 0
        for (end in ends) {
            piece(start, end)
            start = end
        }
    }

    companion object {
        /** The text as one piece. */
        fun whole(points: IntArray): Pieces = Pieces(points, if (points.isEmpty()) IntArray(0) else intArrayOf(points.size))
    }
}

/** One step of a pre-tokenizer: splits each piece by itself. */
internal fun interface SplitStep {
    fun split(pieces: Pieces): Pieces
}

/** Splits before and behind each match of a pattern. */
internal class SplitByPattern(private val pattern: SplitPattern) : SplitStep {
    override fun split(pieces: Pieces): Pieces {
        val letters = pattern.letters(pieces.points)
        val ends = IntList(pieces.points.size / 4 + pieces.ends.size)
        pieces.forEach { start, end ->
            var last = start
            pattern.find(letters, start, end) { from, until ->
                if (from > last) ends.add(from)
                ends.add(until)
                last = until
            }
            if (end > last) ends.add(end)
        }
        return Pieces(pieces.points, ends.toArray())
    }
}

/** Splits where characters that are in [kinds] begin or end; [individually]: around each of them. */
internal class SplitByKind(
    private val classes: CodePointClasses,
    private val kinds: Set<Int>,
    private val individually: Boolean,
) : SplitStep {
    override fun split(pieces: Pieces): Pieces {
        val ends = IntList(pieces.ends.size * 2)
        pieces.forEach { start, end ->
            for (position in start + 1 until end) {
                val before = classes.of(pieces.points[position - 1]) in kinds
                val here = classes.of(pieces.points[position]) in kinds
                if (before != here || here && individually) ends.add(position)
            }
            ends.add(end)
        }
        return Pieces(pieces.points, ends.toArray())
    }
}

/**
 * Turns characters into the letters of their UTF-8 bytes, once a [pattern] has split them; [prefixSpace]: a piece that
 * begins with no blank gets one.
 */
internal class BytesOfPieces(private val pattern: SplitPattern?, private val prefixSpace: Boolean) : SplitStep {
    override fun split(pieces: Pieces): Pieces {
        val prefixed = if (prefixSpace) prefixed(pieces) else pieces
        val split = if (pattern == null) prefixed else SplitByPattern(pattern).split(prefixed)
        val letters = IntList(split.points.size * 2)
        val ends = IntArray(split.ends.size)
        var count = 0
        split.forEach { start, end ->
            for (position in start until end) ByteAlphabet.forEachLetter(split.points[position]) { letters.add(it) }
            ends[count++] = letters.size
        }
        return Pieces(letters.toArray(), ends)
    }

    private fun prefixed(pieces: Pieces): Pieces {
        val points = IntList(pieces.points.size + pieces.ends.size)
        val ends = IntArray(pieces.ends.size)
        var count = 0
        pieces.forEach { start, end ->
            if (pieces.points[start] != ' '.code) points.add(' '.code)
            for (position in start until end) points.add(pieces.points[position])
            ends[count++] = points.size
        }
        return Pieces(points.toArray(), ends)
    }
}
