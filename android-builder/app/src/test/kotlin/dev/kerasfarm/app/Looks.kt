package dev.kerasfarm.app

import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.HorizontalScrollView
import android.widget.ListView
import android.widget.ScrollView
import android.widget.SeekBar
import android.widget.TextView

private const val TOUCH_TARGET = 48

/** Text that is cut off, views that stick out, what cannot be touched well, has no words or hides where to type. */
fun problemsOf(root: View): List<String> = ArrayList<String>().also { inspect(root, it) }

private fun inspect(view: View, problems: MutableList<String>) {
    if (view.visibility != View.VISIBLE) return
    if (view is TextView) inspectText(view, problems)
    if (view is EditText && (view.background == null || view.hint.isNullOrEmpty())) {
        problems.add("${name(view)} does not show where to type")
    }
    if (view is SeekBar && view.contentDescription.isNullOrEmpty()) problems.add("${name(view)} has no words")
    if (view.isClickable &&
        view !is ListView &&
        !(view is TextView && view.isTextSelectable && view !is EditText)
    ) {
        inspectTarget(view, problems)
    }
    if (view !is ViewGroup) return
    for (at in 0 until view.childCount) {
        val child = view.getChildAt(at)
        if (child.visibility != View.VISIBLE) continue
        val tall = view !is ScrollView && view !is ListView && (child.top < 0 || child.bottom > view.height)
        val wide = view !is HorizontalScrollView && (child.left < 0 || child.right > view.width)
        if (wide || tall) problems.add("${name(child)} sticks out")
        inspect(child, problems)
    }
}

private fun inspectText(view: TextView, problems: MutableList<String>) {
    val layout = view.layout ?: return
    val room = view.width - view.compoundPaddingLeft - view.compoundPaddingRight
    for (line in 0 until layout.lineCount) {
        if (layout.getEllipsisCount(line) > 0) problems.add("${name(view)} is shortened")
        if (layout.getLineMax(line) > room + 1) problems.add("${name(view)} is too wide")
    }
    val scrolls = view is EditText
    if (!scrolls && layout.height > view.height - view.compoundPaddingTop - view.compoundPaddingBottom + 1) {
        problems.add("${name(view)} is cut off")
    }
    if (view is Button && layout.lineCount > 2) problems.add("${name(view)} has ${layout.lineCount} lines")
}

private fun inspectTarget(view: View, problems: MutableList<String>) {
    val least = TOUCH_TARGET * view.resources.displayMetrics.density - 0.5f
    if (view.width < least || view.height < least) problems.add("${name(view)} is too small to touch")
    val words = view.contentDescription ?: (view as? TextView)?.let { it.text.ifEmpty { it.hint } }
    if (words.isNullOrEmpty()) problems.add("${name(view)} has no words")
}

private fun name(view: View): String {
    val id = if (view.id > 0) view.resources.getResourceEntryName(view.id) else view.javaClass.simpleName
    return if (view is TextView) "$id '${view.text.take(20)}'" else id
}
