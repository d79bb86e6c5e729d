package dev.kerasfarm.app.markdown

/**
 * Finds the blocks of a Markdown text that grows: what the last block was parsed from is parsed again, and nothing
 * before it.
 *
 * It knows what models write: headings, lists, quotes, fenced code, tables, rules. HTML is text.
 */
class BlockParser {
    private val blocks = ArrayList<Block>()
    private val starts = ArrayList<Int>() // where each block begins in [text]
    private var text = ""

    /** The blocks of [next], which mostly is the text before with more behind it. */
    fun parse(next: String): List<Block> {
        if (!next.startsWith(text)) {
            blocks.clear()
            starts.clear()
        }
        text = next
        val from = starts.lastOrNull() ?: 0
        if (blocks.isNotEmpty()) {
            blocks.removeAt(blocks.size - 1)
            starts.removeAt(starts.size - 1)
        }
        Lines(next, from).read { start, block ->
            starts.add(start)
            blocks.add(block)
        }
        return blocks.toList()
    }
}

/** Reads [text] from [position] on, line by line. */
private class Lines(private val text: String, private var position: Int) {
    fun read(found: (Int, Block) -> Unit) {
        while (position < text.length) {
            val start = position
            if (peek().isBlank()) advance() else found(start, block())
        }
    }

    private fun block(): Block {
        val line = peek()
        FENCE.matchEntire(line)?.let { return code(it.groupValues[1].length, it.groupValues[2], it.groupValues[3].trim()) }
        HEADING.matchEntire(line)?.let {
            advance()
            return Block.Heading(it.groupValues[1].length, it.groupValues[2].trim())
        }
        if (RULE.matches(line)) return Block.Rule.also { advance() }
        if (isTable(line)) return table()
        ITEM.matchEntire(line)?.let { return item(it.groupValues[1].length, it.groupValues[2], it.groupValues[3]) }
        if (line.trimStart().startsWith(">")) return quote()
        return Block.Paragraph(lines { it }.joinToString("\n"))
    }

    private fun code(indent: Int, fence: String, language: String): Block {
        advance()
        val lines = ArrayList<String>()
        while (position < text.length) {
            val line = peek()
            advance()
            val closing = line.trim()
            if (closing.startsWith(fence) && closing.all { it == fence[0] }) break
            lines.add(line.drop(line.take(indent).takeWhile { it == ' ' }.length))
        }
        return Block.Code(language, lines.joinToString("\n"))
    }

    private fun item(indent: Int, marker: String, first: String): Block {
        advance()
        val rest = if (position < text.length && !begins(peek())) lines { it.trim() } else emptyList()
        val dot = if (marker.length == 1) "•" else marker
        return Block.Item((indent + 1) / INDENT, dot, (listOf(first) + rest).joinToString("\n"))
    }

    private fun quote(): Block {
        val lines = ArrayList<String>()
        while (position < text.length && peek().trimStart().startsWith(">")) {
            lines.add(peek().trimStart().drop(1).removePrefix(" "))
            advance()
        }
        return Block.Quote(lines.joinToString("\n"))
    }

    private fun isTable(line: String): Boolean =
        '|' in line && DIVIDER.matches(lineAt(endOf(position) + 1)) && '-' in lineAt(endOf(position) + 1)

    private fun table(): Block {
        val rows = arrayListOf(cells(peek()))
        advance()
        advance() // the divider
        while (position < text.length && '|' in peek()) {
            rows.add(cells(peek()))
            advance()
        }
        return Block.Table(rows.map { row -> List(rows[0].size) { row.getOrElse(it) { "" } } })
    }

    private fun cells(line: String): List<String> =
        line.trim().removePrefix("|").removeSuffix("|").split(CELL_END).map { it.trim().replace("\\|", "|") }

    /** Lines up to an empty one or another block; the first one in any case. */
    private fun lines(change: (String) -> String): List<String> {
        val found = ArrayList<String>()
        do {
            found.add(change(peek()))
            advance()
        } while (position < text.length && !begins(peek()))
        return found
    }

    private fun begins(line: String): Boolean =
        line.isBlank() ||
            FENCE.matches(line) ||
            HEADING.matches(line) ||
            RULE.matches(line) ||
            ITEM.matches(line) ||
            line.trimStart().startsWith(">") ||
            isTable(line)

    private fun peek(): String = lineAt(position)

    private fun advance() {
        position = minOf(endOf(position) + 1, text.length)
    }

    private fun lineAt(start: Int): String = if (start >= text.length) "" else text.substring(start, endOf(start))

    private fun endOf(start: Int): Int = text.indexOf('\n', start).let { if (it < 0) text.length else it }

    private companion object {
        const val INDENT = 2
        val FENCE = Regex("( *)(`{3,}|~{3,})([^`]*)")
        val HEADING = Regex(" {0,3}(#{1,6}) +(.*?)(?: +#+)? *")
        val RULE = Regex(" {0,3}(?:(?:\\* *){3,}|(?:- *){3,}|(?:_ *){3,})")
        val ITEM = Regex("( *)([-*+]|\\d{1,9}[.)]) +(.*)")
        val DIVIDER = Regex(" *\\|? *:?-+:? *(?:\\| *:?-+:? *)*\\|? *")
        val CELL_END = Regex("(?<!\\\\)\\|")
    }
}
