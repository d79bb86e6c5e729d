package dev.kerasfarm.app.markdown

/** A Markdown text without its signs, as it is read aloud. */
fun spokenText(text: String): String = BlockParser().parse(text).joinToString("\n") { block ->
    when (block) {
        is Block.Paragraph -> parseInline(block.text).text
        is Block.Heading -> parseInline(block.text).text + "."
        is Block.Item -> (if (block.marker == "•") "" else block.marker + " ") + parseInline(block.text).text
        is Block.Quote -> parseInline(block.text).text
        is Block.Code -> block.text
        is Block.Table -> block.rows.joinToString("\n") { row -> row.joinToString(", ") { parseInline(it).text } }
        is Block.Rule -> ""
    }
}
