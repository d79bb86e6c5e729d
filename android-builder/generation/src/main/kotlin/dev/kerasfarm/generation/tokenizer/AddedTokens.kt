package dev.kerasfarm.generation.tokenizer

/**
 * A token that is found in a text before anything is split.
 *
 * [stripsLeft] and [stripsRight]: the white space beside it belongs to it. [normalized]: it is looked for in the
 * normalized text. [special]: it stands for no text.
 */
data class AddedToken(
    val id: Int,
    val content: String,
    val stripsLeft: Boolean,
    val stripsRight: Boolean,
    val normalized: Boolean,
    val special: Boolean,
)

/**
 * Finds added tokens in a text as the reference tokenizer does: the leftmost first, and the longest of those that begin
 * at one position.
 */
internal class AddedTokens(
    tokens: List<AddedToken>,
    private val classes: CodePointClasses,
) {
    private val byContent = tokens.filter { it.content.isNotEmpty() }.associateBy { it.content }
    private val lengths: Map<Char, List<Int>> = byContent.keys.groupBy({ it[0] }, { it.length })
        .mapValues { (_, each) -> each.distinct().sortedDescending() }

    /**
     * Calls [between] with each text that is no token and where it begins, and [token] with each id, in order. A special
     * token that is found stays part of the text unless [special].
     */
    fun split(text: String, special: Boolean, between: (String, Int) -> Unit, token: (Int) -> Unit) {
        var begin = 0
        var position = 0
        while (position < text.length) {
            val found = longestAt(text, position)
            if (found == null) {
                position++
                continue
            }
            val start = position
            position += found.content.length
            if (found.special && !special) continue
            val left = if (found.stripsLeft) maxOf(begin, spaceBefore(text, start)) else start
            if (left > begin) between(text.substring(begin, left), begin)
            token(found.id)
            if (found.stripsRight) position = spaceBehind(text, position)
            begin = position
        }
        if (begin < text.length) between(text.substring(begin), begin)
    }

    private fun longestAt(text: String, position: Int): AddedToken? {
        for (length in lengths[text[position]] ?: return null) {
            if (position + length <= text.length) {
                byContent[text.substring(position, position + length)]?.let { return it }
            }
        }
        return null
    }

    // No white space lies outside of the basic plane.
    private fun isSpace(letter: Char): Boolean = classes.of(letter.code) == CodePointClasses.SPACE

    private fun spaceBefore(text: String, end: Int): Int {
        var start = end
        while (start > 0 && isSpace(text[start - 1])) start--
        return start
    }

    private fun spaceBehind(text: String, start: Int): Int {
        var end = start
        while (end < text.length && isSpace(text[end])) end++
        return end
    }
}
