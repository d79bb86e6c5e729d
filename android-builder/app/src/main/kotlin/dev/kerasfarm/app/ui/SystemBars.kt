package dev.kerasfarm.app.ui

import android.os.Build
import android.view.View
import android.view.WindowInsets

/**
 * Pads [root] by what the status bar, the navigation bar, a camera hole and the keyboard cover: from Android 15 on
 * the window reaches behind all of them.
 */
fun keepClearOfSystemBars(root: View) {
    root.setOnApplyWindowInsetsListener { view, insets ->
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val kinds = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or WindowInsets.Type.ime()
            val covered = insets.getInsets(kinds)
            view.setPadding(covered.left, covered.top, covered.right, covered.bottom)
        } else {
            padByOldInsets(view, insets)
        }
        insets
    }
}

@Suppress("DEPRECATION") // what Android up to 10 has
private fun padByOldInsets(view: View, insets: WindowInsets) {
    view.setPadding(
        insets.systemWindowInsetLeft,
        insets.systemWindowInsetTop,
        insets.systemWindowInsetRight,
        insets.systemWindowInsetBottom,
    )
}
