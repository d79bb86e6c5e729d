package dev.kerasfarm.app.markdown

/** A part of a Markdown text that is drawn by itself. */
sealed interface Block {
    /** Text in lines. */
    data class Paragraph(val text: String) : Block

    /** A heading of [level] 1 to 6. */
    data class Heading(val level: Int, val text: String) : Block

    /** An item of a list, [depth] lists deep; [marker] is its dot or number. */
    data class Item(val depth: Int, val marker: String, val text: String) : Block

    /** What is quoted. */
    data class Quote(val text: String) : Block

    /** Program text in a [language], which may be unknown: "". */
    data class Code(val language: String, val text: String) : Block

    /** Rows of cells, the first of which are headings. */
    data class Table(val rows: List<List<String>>) : Block

    /** A line across. */
    data object Rule : Block
}
