package dev.kerasfarm.app.markdown

import android.content.Context
import android.graphics.Typeface
import android.text.SpannableString
import android.text.Spanned
import android.text.style.BackgroundColorSpan
import android.text.style.ForegroundColorSpan
import android.text.style.LeadingMarginSpan
import android.text.style.StrikethroughSpan
import android.text.style.StyleSpan
import android.text.style.TypefaceSpan
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import android.view.ViewGroup
import android.widget.HorizontalScrollView
import android.widget.LinearLayout
import android.widget.TableLayout
import android.widget.TableRow
import android.widget.TextView
import dev.kerasfarm.app.R

/**
 * Shows a Markdown text while it is written: a view for each block, of which only the last changes as words come.
 *
 * Links are marked and not followed: the app has no network, and a model invents addresses.
 */
class MarkdownView(context: Context, attributes: AttributeSet?) : LinearLayout(context, attributes) {
    private val parser = BlockParser()
    private val measure by lazy { text(R.style.Answer).paint }
    private var shown = listOf<Block>()

    /** Called with a block of program text whose copy is wanted. */
    var onCopy: (String) -> Unit = {}

    init {
        orientation = VERTICAL
    }

    /** Shows [text]. */
    fun show(text: String) {
        val blocks = parser.parse(text)
        var same = 0
        while (same < minOf(shown.size, blocks.size) && (shown[same] === blocks[same] || shown[same] == blocks[same])) same++
        // A text that grows keeps its view, so that nothing flickers and what is selected stays so.
        if (same < minOf(shown.size, blocks.size) && refill(getChildAt(same), shown[same], blocks[same])) same++
        removeViews(same, childCount - same)
        for (index in same until blocks.size) addView(viewOf(blocks[index]), params(blocks, index))
        shown = blocks
    }

    private fun params(blocks: List<Block>, index: Int): LayoutParams {
        val close = blocks[index] is Block.Item && blocks.getOrNull(index - 1) is Block.Item
        val space = resources.getDimensionPixelSize(if (close) R.dimen.space_item else R.dimen.space_block)
        val rule = if (blocks[index] is Block.Rule) dp(1) else ViewGroup.LayoutParams.WRAP_CONTENT
        return LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, rule).apply { topMargin = if (index == 0) 0 else space }
    }

    private fun viewOf(block: Block): View = when (block) {
        is Block.Code -> codeView(block)
        is Block.Table -> tableView(block)
        is Block.Rule -> View(context).apply { setBackgroundColor(context.getColor(R.color.outline)) }
        is Block.Quote -> text(R.style.Answer).apply {
            setBackgroundResource(R.drawable.quote)
            setPaddingRelative(dp(16), dp(4), 0, dp(4))
            setTextColor(context.getColor(R.color.text_secondary))
            text = spanned(block.text)
        }
        is Block.Heading -> text(R.style.Answer).apply {
            isAccessibilityHeading = true
            setTypeface(Typeface.create("sans-serif-medium", Typeface.NORMAL))
            val size = if (block.level <= 2) R.dimen.text_heading_answer else R.dimen.text_writing
            setTextSize(TypedValue.COMPLEX_UNIT_PX, resources.getDimension(size))
            text = spanned(block.text)
        }
        is Block.Item -> text(R.style.Answer).apply {
            setPaddingRelative(dp(ITEM_INDENT) * minOf(block.depth, DEEPEST), 0, 0, 0)
            text = itemText(block)
        }
        is Block.Paragraph -> text(R.style.Answer).apply { text = spanned(block.text) }
    }

    /** Shows [block] in the [view] of the one before it; false when it needs another view. */
    private fun refill(view: View, before: Block, block: Block): Boolean {
        when {
            before is Block.Paragraph && block is Block.Paragraph -> (view as TextView).text = spanned(block.text)
            before is Block.Quote && block is Block.Quote -> (view as TextView).text = spanned(block.text)
            before is Block.Item && block is Block.Item && before.depth == block.depth ->
                (view as TextView).text = itemText(block)
            before is Block.Table && block is Block.Table -> refillTable(view, before, block)
            before is Block.Code && block is Block.Code && before.language == block.language -> {
                view.findViewById<TextView>(R.id.code).text = block.text
                view.findViewById<View>(R.id.copy_code).setOnClickListener { onCopy(block.text) }
            }
            else -> return false
        }
        return true
    }

    private fun codeView(block: Block.Code): View {
        val view = inflate(context, R.layout.code, null)
        view.findViewById<TextView>(R.id.language).text = block.language.ifEmpty { resources.getString(R.string.code) }
        view.findViewById<TextView>(R.id.code).text = block.text
        view.findViewById<View>(R.id.copy_code).setOnClickListener { onCopy(block.text) }
        return view
    }

    private fun tableView(block: Block.Table): View {
        val table = TableLayout(context)
        addRows(table, block, 0)
        return HorizontalScrollView(context).apply { addView(table) }
    }

    /** A table's finished rows stay as they are. */
    private fun refillTable(view: View, before: Block.Table, block: Block.Table) {
        val table = (view as ViewGroup).getChildAt(0) as TableLayout
        val same = before.rows.zip(block.rows).takeWhile { (one, other) -> one == other }.size
        table.removeViews(same, table.childCount - same)
        addRows(table, block, same)
    }

    private fun addRows(table: TableLayout, block: Block.Table, from: Int) {
        for ((index, row) in block.rows.withIndex().drop(from)) {
            val line = TableRow(context)
            if (index % 2 == 0) line.setBackgroundColor(context.getColor(R.color.surface))
            for (cell in row) {
                val shown = text(R.style.Answer)
                shown.maxWidth = dp(CELL_WIDTH)
                shown.setPaddingRelative(dp(12), dp(8), dp(12), dp(8))
                if (index == 0) shown.setTypeface(Typeface.create("sans-serif-medium", Typeface.NORMAL))
                shown.text = spanned(cell)
                line.addView(
                    shown,
                    TableRow.LayoutParams(ViewGroup.LayoutParams.WRAP_CONTENT, ViewGroup.LayoutParams.MATCH_PARENT),
                )
            }
            table.addView(line)
        }
    }

    private fun text(style: Int) = TextView(context, null, 0, style).apply { setTextIsSelectable(true) }

    private fun itemText(block: Block.Item): CharSequence {
        val text = spanned("${block.marker}\u00A0 ${block.text}", plain = block.marker.length + 2)
        // Further lines begin where the first one's words do.
        val margin = LeadingMarginSpan.Standard(0, measure.measureText(text, 0, block.marker.length + 2).toInt())
        text.setSpan(margin, 0, text.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        return text
    }

    /** The text with its marks; the first [plain] characters are as they are. */
    private fun spanned(source: String, plain: Int = 0): SpannableString {
        val inline = parseInline(source.substring(plain))
        val text = SpannableString(source.substring(0, plain) + inline.text)
        for (mark in inline.marks) {
            for (span in spansOf(mark.look)) {
                text.setSpan(span, plain + mark.start, plain + mark.end, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
            }
        }
        return text
    }

    private fun spansOf(look: Look): List<Any> = when (look) {
        Look.BOLD -> listOf(StyleSpan(Typeface.BOLD))
        Look.ITALIC -> listOf(StyleSpan(Typeface.ITALIC))
        Look.STRUCK -> listOf(StrikethroughSpan())
        Look.CODE -> listOf(TypefaceSpan("monospace"), BackgroundColorSpan(context.getColor(R.color.surface)))
        Look.LINK -> listOf(ForegroundColorSpan(context.getColor(R.color.primary)))
    }

    private fun dp(value: Int): Int = (value * resources.displayMetrics.density).toInt()

    private companion object {
        const val ITEM_INDENT = 20
        const val DEEPEST = 4
        const val CELL_WIDTH = 240
    }
}
