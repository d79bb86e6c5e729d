package dev.kerasfarm.app.ui

import android.app.Activity
import android.view.View
import android.widget.TextView
import dev.kerasfarm.app.R

/** Gives a screen behind the first one its title and the way back. */
fun Activity.setUpHeader(title: Int) {
    keepClearOfSystemBars(findViewById(R.id.root))
    findViewById<TextView>(R.id.title).setText(title)
    findViewById<View>(R.id.back).setOnClickListener { finish() }
}
