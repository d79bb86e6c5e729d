package dev.kerasfarm.generation.tokenizer

import java.util.regex.Pattern

/**
 * A regular expression of a `tokenizer.json`, matched with the Unicode classes of the reference tokenizer.
 *
 * The platform's own classes differ from release to release. So both sides are translated: each character outside of
 * ASCII becomes a letter of the private use area that tells its class and whether the expression names it, and the
 * expression's classes become sets of these. What is left for the platform's engine are sets, repetitions, alternatives
 * and one lookahead, which mean the same everywhere.
 */
internal class SplitPattern(expression: String, private val classes: CodePointClasses) {
    /** Ranges outside of ASCII that the expression names. */
    private val named = ArrayList<IntRange>()
    private val pattern: Pattern = Pattern.compile(Translation(expression).text())

    /** Calls [match] with begin and end of each match in `text[start until end]`, seeing nothing outside of it. */
    fun find(text: CharSequence, start: Int, end: Int, match: (Int, Int) -> Unit) {
        val matcher = pattern.matcher(text).region(start, end)
        while (matcher.find()) match(matcher.start(), matcher.end())
    }

    /** [points] as the pattern reads them, a letter each. */
    fun letters(points: IntArray): CharSequence {
        val letters = CharArray(points.size)
        for (position in points.indices) {
            val point = points[position]
            letters[position] = if (point < ASCII) point.toChar() else letter(classes.of(point), groupOf(point))
        }
        return String(letters)
    }

    private fun letter(kind: Int, group: Int): Char = (FIRST_LETTER + kind * GROUPS + group).toChar()

    private fun groupOf(point: Int): Int = 1 + named.indexOfFirst { point in it }

    private inner class Translation(private val source: String) {
        private val target = StringBuilder()
        private val ignoringCase = ArrayList<Boolean>()
        private var at = 0

        fun text(): String {
            while (at < source.length) {
                when (val letter = source[at]) {
                    '\\' -> target.append(escapeOutside())
                    '[' -> target.append(set())
                    '(' -> open()
                    ')' -> {
                        ignoringCase.removeAt(ignoringCase.lastIndex)
                        take()
                    }
                    '?', '*', '+', '|' -> take()
                    '{' -> repeat(source.indexOf('}', at) + 1 - at) { take() }
                    else -> {
                        at++
                        target.append(literal(letter))
                    }
                }
            }
            return target.toString()
        }

        private fun take() {
            target.append(source[at++])
        }

        private fun open() {
            val ignores = source.startsWith("(?i:", at)
            ignoringCase.add(ignores)
            if (ignores) {
                at += 4
                target.append("(?:")
            } else {
                repeat(if (source.startsWith("(?!", at)) 3 else 1) { take() }
            }
        }

        private fun literal(letter: Char): String {
            if (ignoringCase.lastOrNull() != true || !letter.isLetter()) return escaped(letter.code)
            // Of all letters beside A to Z, only the long s equals one of them when case is ignored.
            val more = if (letter == 's') member(LONG_S..LONG_S) else ""
            return "[${letter.lowercaseChar()}${letter.uppercaseChar()}$more]"
        }

        private fun escapeOutside(): String {
            if (source.startsWith("\\S", at)) {
                at += 2
                return "[^${members(SPACES)}]"
            }
            return "[${item()}]"
        }

        /** `[...]`; a set inside of a set adds to it. */
        private fun set(): String {
            val members = StringBuilder("[")
            at++
            if (source[at] == '^') members.append(source[at++])
            var depth = 1
            while (depth > 0) {
                when (source[at]) {
                    '[' -> {
                        depth++
                        at++
                    }
                    ']' -> {
                        depth--
                        at++
                    }
                    else -> members.append(item())
                }
            }
            return members.append(']').toString()
        }

        /** One item of a set: a class, or a character, or a range of characters. */
        private fun item(): String {
            if (source.startsWith("\\p{", at)) {
                val end = source.indexOf('}', at)
                val name = source.substring(at + 3, end)
                at = end + 1
                return members(PROPERTIES.getValue(name))
            }
            if (source.startsWith("\\s", at)) {
                at += 2
                return members(SPACES)
            }
            val first = character()
            if (at + 1 >= source.length || source[at] != '-' || source[at + 1] == ']') return member(first..first)
            at++
            return member(first..character())
        }

        private fun character(): Int {
            if (source[at] != '\\') return source[at++].code
            at += 2
            return when (val letter = source[at - 1]) {
                'r' -> '\r'.code
                'n' -> '\n'.code
                else -> letter.code
            }
        }
    }

    private fun members(kinds: Set<Int>): String {
        val ascii = (0 until ASCII).filter { classes.of(it) in kinds }.joinToString("") { escaped(it) }
        return ascii + kinds.joinToString("") { "${escaped(letter(it, 0).code)}-${escaped(letter(it, GROUPS - 1).code)}" }
    }

    private fun member(range: IntRange): String {
        if (range.last < ASCII) return "${escaped(range.first)}-${escaped(range.last)}"
        if (range !in named) named.add(range)
        val group = 1 + named.indexOf(range)
        return (0 until CodePointClasses.COUNT).joinToString("") { escaped(letter(it, group).code) }
    }

    private fun escaped(code: Int): String = "\\u%04x".format(code)

    private companion object {
        const val ASCII = 0x80
        const val FIRST_LETTER = 0xE000
        const val GROUPS = 64
        const val LONG_S = 0x17F
        val SPACES = setOf(CodePointClasses.SPACE)
        val LETTERS = setOf(
            CodePointClasses.OTHER_LETTER,
            CodePointClasses.UPPER_LETTER,
            CodePointClasses.LOWER_LETTER,
            CodePointClasses.MODIFIER_LETTER,
            CodePointClasses.TITLE_LETTER,
        )
        val PROPERTIES = mapOf(
            "L" to LETTERS,
            "Lo" to setOf(CodePointClasses.OTHER_LETTER),
            "Lu" to setOf(CodePointClasses.UPPER_LETTER),
            "Ll" to setOf(CodePointClasses.LOWER_LETTER),
            "Lm" to setOf(CodePointClasses.MODIFIER_LETTER),
            "Lt" to setOf(CodePointClasses.TITLE_LETTER),
            "M" to setOf(CodePointClasses.MARK, CodePointClasses.PUNCTUATED_MARK),
            "N" to setOf(CodePointClasses.NUMBER),
            "P" to setOf(CodePointClasses.PUNCTUATION, CodePointClasses.PUNCTUATED_PUNCTUATION),
            "S" to setOf(CodePointClasses.SYMBOL, CodePointClasses.PUNCTUATED_SYMBOL),
        )
    }
}
