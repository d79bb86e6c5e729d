package dev.kerasfarm.app.markdown

import android.content.Context
import android.graphics.Typeface
import android.util.TypedValue
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.HorizontalScrollView
import android.widget.TableLayout
import android.widget.TableRow
import android.widget.TextView
import dev.kerasfarm.app.R

/** Makes a view of each block, and makes one fit the block that its block became; [copy] is given program text. */
internal class BlockViews(private val context: Context, private val copy: (String) -> Unit) {
    private val inflater = LayoutInflater.from(context)
    private val resources = context.resources
    private val spare = SpareViews(context)
    private val plain by lazy { spare.text() } // never shown: what a paragraph looks like
    private val medium by lazy { Typeface.create("sans-serif-medium", Typeface.NORMAL) }
    private val inline by lazy { InlineText(context, plain.paint) }

    /** How thick a line across is. */
    val ruleHeight: Int get() = dp(1)

    /** More blocks will come, or none. */
    fun expect(more: Boolean) = spare.expect(more)

    fun viewOf(block: Block): View = when (block) {
        is Block.Code -> spare.code().also { fill(it, block) }
        is Block.Table -> tableView(block)
        is Block.Rule -> View(context).apply { setBackgroundColor(context.getColor(R.color.outline)) }
        else -> spare.text().also {
            style(it, block)
            it.text = textOf(block)
        }
    }

    /** Shows [block] in the [view] of the one [before] it; false when it needs another view. */
    fun refill(view: View, before: Block, block: Block): Boolean {
        when {
            before is Block.Table && block is Block.Table -> refillTable(view, before, block)
            before is Block.Code && block is Block.Code -> fill(view, block)
            view is TextView && isText(before) && isText(block) -> {
                if (!looksAs(before, block)) {
                    style(plain, view)
                    style(view, block)
                }
                view.text = textOf(block)
            }
            else -> return false
        }
        return true
    }

    /** Gives program text that is whole its button to copy it. */
    fun finish(view: View, block: Block.Code) {
        val header = view.findViewById<ViewGroup>(R.id.code_header)
        val button = header.findViewById(R.id.copy_code) ?: inflater.inflate(R.layout.copy_code, header, false)
            .also { header.addView(it) }
        button.setOnClickListener { copy(block.text) }
    }

    private fun isText(block: Block) =
        block is Block.Paragraph || block is Block.Heading || block is Block.Item || block is Block.Quote

    private fun looksAs(one: Block, other: Block): Boolean = when (one) {
        is Block.Heading -> other is Block.Heading && one.level == other.level
        is Block.Item -> other is Block.Item && one.depth == other.depth
        else -> one.javaClass == other.javaClass
    }

    private fun textOf(block: Block): CharSequence = when (block) {
        is Block.Paragraph -> inline.of(block.text)
        is Block.Heading -> inline.of(block.text)
        is Block.Quote -> inline.of(block.text)
        is Block.Item -> inline.ofItem(block.marker, block.text)
        else -> ""
    }

    /** Makes [view] look as [model] does. */
    private fun style(model: TextView, view: TextView) = view.run {
        background = null
        setPadding(0, 0, 0, 0)
        setTextColor(model.textColors)
        setTextSize(TypedValue.COMPLEX_UNIT_PX, model.textSize)
        typeface = model.typeface
        isAccessibilityHeading = false
    }

    /** Makes a plain [view] look as the block's kind does. */
    private fun style(view: TextView, block: Block) = view.run {
        when (block) {
            is Block.Heading -> {
                isAccessibilityHeading = true
                typeface = medium
                val size = if (block.level <= 2) R.dimen.text_heading_answer else R.dimen.text_writing
                setTextSize(TypedValue.COMPLEX_UNIT_PX, resources.getDimension(size))
            }
            is Block.Quote -> {
                setBackgroundResource(R.drawable.quote)
                setPaddingRelative(dp(QUOTE_INDENT), dp(4), 0, dp(4))
                setTextColor(context.getColor(R.color.text_secondary))
            }
            is Block.Item -> setPaddingRelative(dp(ITEM_INDENT) * minOf(block.depth, DEEPEST), 0, 0, 0)
            else -> Unit
        }
    }

    private fun fill(view: View, block: Block.Code) {
        view.findViewById<TextView>(R.id.language).text = block.language.ifEmpty { resources.getString(R.string.code) }
        view.findViewById<TextView>(R.id.code).text = block.text
    }

    private fun tableView(block: Block.Table): View {
        val table = TableLayout(context)
        addRows(table, block, 0)
        return HorizontalScrollView(context).apply { addView(table) }
    }

    /** A table's finished rows stay as they are, and a row that grows keeps its views. */
    private fun refillTable(view: View, before: Block.Table, block: Block.Table) {
        val table = (view as ViewGroup).getChildAt(0) as TableLayout
        var same = before.rows.zip(block.rows).takeWhile { (one, other) -> one == other }.size
        if (same < minOf(before.rows.size, block.rows.size) && before.rows[same].size == block.rows[same].size) {
            refillRow(table.getChildAt(same) as TableRow, before.rows[same], block.rows[same])
            same++
        }
        table.removeViews(same, table.childCount - same)
        addRows(table, block, same)
    }

    private fun refillRow(line: TableRow, before: List<String>, row: List<String>) {
        for ((column, cell) in row.withIndex()) {
            if (cell != before[column]) (line.getChildAt(column) as TextView).text = inline.of(cell)
        }
    }

    private fun addRows(table: TableLayout, block: Block.Table, from: Int) {
        for (index in from until block.rows.size) {
            val line = TableRow(context)
            if (index % 2 == 0) line.setBackgroundColor(context.getColor(R.color.surface))
            for (cell in block.rows[index]) {
                val shown = spare.text()
                shown.maxWidth = dp(CELL_WIDTH)
                shown.setPaddingRelative(dp(12), dp(8), dp(12), dp(8))
                if (index == 0) shown.typeface = medium
                shown.text = inline.of(cell)
                line.addView(
                    shown,
                    TableRow.LayoutParams(ViewGroup.LayoutParams.WRAP_CONTENT, ViewGroup.LayoutParams.MATCH_PARENT),
                )
            }
            table.addView(line)
        }
    }

    private fun dp(value: Int): Int = (value * resources.displayMetrics.density).toInt()

    private companion object {
        const val ITEM_INDENT = 20
        const val QUOTE_INDENT = 16
        const val DEEPEST = 4
        const val CELL_WIDTH = 240
    }
}
