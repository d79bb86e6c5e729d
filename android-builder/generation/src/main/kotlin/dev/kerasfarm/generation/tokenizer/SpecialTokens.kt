package dev.kerasfarm.generation.tokenizer

/**
 * Special tokens in a text, as the reference tokenizer finds them: the leftmost goes first, and the longest of those that
 * begin at one place. [ids] are their ids by what they are written as.
 */
class SpecialTokens(private val ids: Map<String, Int>) {
    private val byBeginning: Map<Char, List<String>> =
        ids.keys.filter { it.isNotEmpty() }.sortedByDescending { it.length }.groupBy { it[0] }

    /** Calls [between] with each text that is no special token, and [token] with the id of each that is one, in order. */
    fun split(text: String, between: (String) -> Unit, token: (Int) -> Unit) {
        var begin = 0
        var position = 0
        while (position < text.length) {
            val found = longestAt(text, position)
            if (found == null) {
                position++
                continue
            }
            between(text.substring(begin, position))
            token(ids.getValue(found))
            position += found.length
            begin = position
        }
        between(text.substring(begin))
    }

    private fun longestAt(text: String, position: Int): String? =
        byBeginning[text[position]]?.firstOrNull { text.startsWith(it, position) }
}
