package dev.kerasfarm.generation.tokenizer

/**
 * Splits text into the pieces inside which byte pairs are merged, by GPT-2's rules.
 *
 * The rules are those of the pattern `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
 * written as a scanner: the platform's regular expressions would use the platform's Unicode version.
 */
class PieceScanner(private val classes: CodePointClasses) {
    /** Calls [piece] with the start and end of each piece of [text], in code points, without gaps. */
    inline fun scan(text: IntArray, piece: (Int, Int) -> Unit) {
        var start = 0
        while (start < text.size) {
            val end = pieceEnd(text, start)
            piece(start, end)
            start = end
        }
    }

    /** Where the piece that begins at [start] ends. */
    fun pieceEnd(text: IntArray, start: Int): Int {
        val contraction = contractionLength(text, start)
        if (contraction > 0) return start + contraction
        val led = text[start] == SPACE_CHARACTER && start + 1 < text.size
        val first = if (led) start + 1 else start
        val kind = classes.of(text[first])
        if (kind != CodePointClasses.SPACE) return runEnd(text, first, kind)
        return spaceEnd(text, start)
    }

    /** White space: all of it, but the last one is left to the word that follows. */
    private fun spaceEnd(text: IntArray, start: Int): Int {
        val end = runEnd(text, start, CodePointClasses.SPACE)
        return if (end == text.size || end - start == 1) end else end - 1
    }

    private fun runEnd(text: IntArray, start: Int, kind: Int): Int {
        var end = start + 1
        while (end < text.size && classes.of(text[end]) == kind) end++
        return end
    }

    private fun contractionLength(text: IntArray, start: Int): Int {
        if (text[start] != APOSTROPHE || start + 1 >= text.size) return 0
        val first = text[start + 1]
        if (first == 's'.code || first == 't'.code || first == 'm'.code || first == 'd'.code) return 2
        val second = if (start + 2 < text.size) text[start + 2] else return 0
        val long = first == 'r'.code && second == 'e'.code ||
            first == 'v'.code && second == 'e'.code ||
            first == 'l'.code && second == 'l'.code
        return if (long) 3 else 0
    }

    private companion object {
        const val SPACE_CHARACTER = ' '.code
        const val APOSTROPHE = '\''.code
    }
}
