package dev.kerasfarm.app.ui

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View
import dev.kerasfarm.app.R

/** How a context divides: the window for the prompt, then what is left to write. Mirrored where reading is. */
class WindowPicture(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val paint = Paint()
    private var share = 0f

    init {
        setBackgroundResource(R.drawable.field)
        clipToOutline = true
    }

    /** Shows a window of [window] tokens in a context of [whole]. */
    fun show(window: Int, whole: Int) {
        share = window.toFloat() / whole
        contentDescription = resources.getString(R.string.window_picture, window, whole - window)
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val border = width * share
        val mirrored = layoutDirection == LAYOUT_DIRECTION_RTL
        fill(canvas, if (mirrored) width - border else 0f, if (mirrored) width.toFloat() else border, R.color.primary)
        fill(canvas, if (mirrored) 0f else border, if (mirrored) width - border else width.toFloat(), R.color.outline)
    }

    private fun fill(canvas: Canvas, left: Float, right: Float, color: Int) {
        paint.color = context.getColor(color)
        canvas.drawRect(left, 0f, right, height.toFloat(), paint)
    }
}
