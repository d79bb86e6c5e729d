package dev.kerasfarm.generation.filter

/**
 * Finds unsuitable words, as whole words, in text of any of its languages.
 *
 * What is compared is normalised ([normalise]); in scripts without spaces a word counts where the script changes on
 * both of its sides, so that a word inside of a longer one is left alone.
 */
class WordFilter(words: Collection<String>) {
    private val spaced: Set<String>
    private val unspaced: List<String>

    init {
        val normalised = words.map { normalise(it) }.filter { it.isNotEmpty() }.toSet()
        // Longest first: a part of a compound may be a word of the list too.
        unspaced = normalised.filter { word -> word.any { it.isUnspaced() } }.sortedByDescending { it.length }
        spaced = normalised - unspaced.toSet()
    }

    /** How many characters the longest word has. */
    val longest: Int = (spaced + unspaced).maxOfOrNull { it.length } ?: 0

    /** The first unsuitable word of [text], normalised; null when there is none. */
    fun find(text: String): String? {
        val plain = normalise(text)
        return runs(plain).firstNotNullOfOrNull { spacedWord(it) }
            ?: spelled(plain).firstNotNullOfOrNull { row -> spaced.find { it.length >= SPELLED_LENGTH && it in row } }
            ?: unspaced.firstOrNull { plain.hasWord(it) }
    }

    /** A run with substitutions is read as it is, piece by piece, and with what its signs stand for. */
    private fun spacedWord(run: String): String? {
        val pieces = run.split(NO_LETTER).filter { it.isNotEmpty() }
        pieces.firstOrNull { it in spaced }?.let { return it }
        if (pieces.isEmpty() || pieces.singleOrNull() == run) return null
        val trimmed = run.trim('!', '*')
        return sequenceOf('i', 'l').map { one -> trimmed.map { substitute(it, one) }.joinToString("") }
            .firstOrNull { it in spaced }
    }

    private fun runs(text: String): Sequence<String> = RUN.findAll(text).map { it.value }

    /** Words written letter by letter, with a sign between them: `a b c`, `a.b.c`. */
    private fun spelled(text: String): Sequence<String> =
        SPELLED.findAll(text).map { match -> match.value.filter { it.isLetter() } }

    private fun String.hasWord(word: String): Boolean {
        var at = indexOf(word)
        while (at >= 0) {
            val before = getOrNull(at - 1)
            val after = getOrNull(at + word.length)
            if (!sameScript(before, word.first()) && !sameScript(word.last(), after)) return true
            at = indexOf(word, at + 1)
        }
        return false
    }

    private fun sameScript(one: Char?, other: Char?): Boolean {
        if (one == null || other == null || !one.isLetter() || !other.isLetter()) return false
        // The long-vowel sign belongs to the katakana before it.
        return script(one) == script(other)
    }

    private fun script(letter: Char): Character.UnicodeScript =
        if (letter == 'ー') Character.UnicodeScript.KATAKANA else Character.UnicodeScript.of(letter.code)

    private fun Char.isUnspaced(): Boolean = script(this) in UNSPACED

    private fun substitute(sign: Char, one: Char): Char = if (sign == '1' || sign == '!') one else SIGNS[sign] ?: sign

    private companion object {
        val UNSPACED = setOf(
            Character.UnicodeScript.HAN,
            Character.UnicodeScript.HIRAGANA,
            Character.UnicodeScript.KATAKANA,
        )
        val SIGNS = mapOf('0' to 'o', '3' to 'e', '4' to 'a', '5' to 's', '7' to 't', '@' to 'a', '$' to 's')
        val RUN = Regex("[\\p{L}\\p{N}@$!]+")
        val NO_LETTER = Regex("[^\\p{L}]+")
        val SPELLED = Regex("(?<![\\p{L}\\p{N}])\\p{L}(?:[ .\\-_*]\\p{L}){2,11}(?![\\p{L}\\p{N}])")

        /** Shorter words would be found in any row of single letters. */
        const val SPELLED_LENGTH = 4
    }
}
