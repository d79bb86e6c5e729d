package dev.kerasfarm.app.markdown

import android.content.Context
import android.util.AttributeSet
import android.view.ViewGroup
import dev.kerasfarm.app.R

/**
 * Shows a Markdown text while it is written: a view for each block, one below the other. Of a text that grows only the
 * last block is read, set and laid out again, so that a long answer costs no more than a short one.
 *
 * Links are marked and not followed: the app has no network, and a model invents addresses.
 */
class MarkdownView(context: Context, attributes: AttributeSet?) : ViewGroup(context, attributes) {
    private val parser = BlockParser()
    private val views = BlockViews(context) { onCopy(it) }
    private var shown = listOf<Block>()
    private var ended = true
    private var widthBefore = -1 // that the blocks were last measured for

    /** Called with a block of program text whose copy is wanted. */
    var onCopy: (String) -> Unit = {}

    /** Shows [text], which [ends]: no more of it will come. */
    fun show(text: String, ends: Boolean = true) {
        val blocks = parser.parse(text)
        var same = 0
        while (same < minOf(shown.size, blocks.size) && shown[same] === blocks[same]) same++
        // A block that became another one keeps its view where it can, so that nothing flickers.
        while (same < minOf(shown.size, blocks.size) && refill(same, blocks)) same++
        removeViews(same, childCount - same)
        for (index in same until blocks.size) addView(views.viewOf(blocks[index]), params(blocks, index))
        finish(blocks, ends)
        shown = blocks
        if (ended != ends) views.expect(more = !ends)
        ended = ends
    }

    override fun onDetachedFromWindow() {
        views.expect(more = false)
        super.onDetachedFromWindow()
    }

    private fun refill(index: Int, blocks: List<Block>): Boolean {
        val view = getChildAt(index)
        if (shown[index] == blocks[index]) return true
        if (!views.refill(view, shown[index], blocks[index])) return false
        val margin = margin(blocks, index)
        val params = view.layoutParams as MarginLayoutParams
        if (params.topMargin != margin) view.layoutParams = params.apply { topMargin = margin }
        return true
    }

    /** Program text can be copied once it is whole. */
    private fun finish(blocks: List<Block>, ends: Boolean) {
        val from = maxOf(0, minOf(shown.size, blocks.size) - 1)
        for (index in (if (ended) 0 else from) until blocks.size) {
            val code = blocks[index] as? Block.Code ?: continue
            if (ends || index < blocks.size - 1) views.finish(getChildAt(index), code)
        }
    }

    private fun params(blocks: List<Block>, index: Int): LayoutParams {
        val height = if (blocks[index] is Block.Rule) views.ruleHeight else LayoutParams.WRAP_CONTENT
        return MarginLayoutParams(LayoutParams.MATCH_PARENT, height).apply { topMargin = margin(blocks, index) }
    }

    private fun margin(blocks: List<Block>, index: Int): Int {
        if (index == 0) return 0
        val close = blocks[index] is Block.Item && blocks[index - 1] is Block.Item
        return resources.getDimensionPixelSize(if (close) R.dimen.space_item else R.dimen.space_block)
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val width = getDefaultSize(suggestedMinimumWidth, widthMeasureSpec)
        var height = 0
        for (index in 0 until childCount) {
            val child = getChildAt(index)
            val params = child.layoutParams as MarginLayoutParams
            // What did not change since keeps its height.
            if (width != widthBefore || child.isLayoutRequested) {
                val across = MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY)
                val down = if (params.height < 0) 0 else MeasureSpec.makeMeasureSpec(params.height, MeasureSpec.EXACTLY)
                child.measure(across, down)
            }
            height += params.topMargin + child.measuredHeight
        }
        widthBefore = width
        setMeasuredDimension(width, resolveSize(height, heightMeasureSpec))
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        var place = 0
        for (index in 0 until childCount) {
            val child = getChildAt(index)
            place += (child.layoutParams as MarginLayoutParams).topMargin
            val end = place + child.measuredHeight
            if (child.isLayoutRequested || child.top != place || child.bottom != end || child.right != right - left) {
                child.layout(0, place, right - left, end)
            }
            place = end
        }
    }
}
