package dev.kerasfarm.app.ui

import android.content.ClipData
import android.content.ClipboardManager
import android.content.Context

/** Puts [text] on the clipboard; [description] are the words for what it is. */
fun copyText(context: Context, text: String, description: Int) {
    val clip = ClipData.newPlainText(context.getString(description), text)
    context.getSystemService(ClipboardManager::class.java).setPrimaryClip(clip)
}
