package dev.kerasfarm.app

import android.graphics.Rect
import android.view.View
import android.view.ViewGroup
import android.view.ViewParent
import android.widget.Button
import android.widget.EditText
import android.widget.HorizontalScrollView
import android.widget.ListView
import android.widget.ScrollView
import android.widget.SeekBar
import android.widget.TextView

private const val TOUCH_TARGET = 48

/** Text that is cut off, views that stick out, what cannot be touched well, has no words or hides where to type. */
fun problemsOf(root: View): List<String> = ArrayList<String>().also {
    inspect(root, it)
    inspectOrder(root, it)
}

/** What is read out one after the other stands so too: from above to below, and on a line from where reading begins. */
private fun inspectOrder(root: View, problems: MutableList<String>) {
    val read = spoken(root)
    for ((one, next) in read.zipWithNext()) {
        // What scrolls may stand behind what does not.
        if (scrollerOf(one) !== scrollerOf(next)) continue
        val (first, second) = placeOf(one) to placeOf(next)
        val beside = second.top < first.bottom && first.top < second.bottom
        val leftwards = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
        val before = if (leftwards) second.left >= first.right else second.right <= first.left
        if (second.bottom <= first.top || beside && before && !isTableOrCode(next)) {
            problems.add("${name(next)} is read out behind ${name(one)}, and stands before it")
        }
    }
}

private fun scrollerOf(view: View): ViewParent? =
    generateSequence(view.parent) { it.parent }.firstOrNull { it is ScrollView || it is ListView }

/** Program text runs from left to right in every language. */
private fun isTableOrCode(view: View): Boolean =
    generateSequence(view.parent) { it.parent }.any { it is HorizontalScrollView }

private fun spoken(view: View): List<View> = when {
    view.visibility != View.VISIBLE -> emptyList()
    view is TextView || view is SeekBar || view.isClickable && view !is ViewGroup -> listOf(view)
    view is ViewGroup -> (0 until view.childCount).flatMap { spoken(view.getChildAt(it)) }
    else -> emptyList()
}

private fun placeOf(view: View): Rect = IntArray(2).let { at ->
    view.getLocationInWindow(at)
    Rect(at[0], at[1], at[0] + view.width, at[1] + view.height)
}

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
