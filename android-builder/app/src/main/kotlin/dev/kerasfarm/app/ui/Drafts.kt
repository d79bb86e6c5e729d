package dev.kerasfarm.app.ui

import android.content.Context

/** What was typed and not sent, for each conversation by its number; null is the one that has none yet. */
class Drafts(context: Context) {
    private val stored = context.getSharedPreferences("drafts", Context.MODE_PRIVATE)

    operator fun get(conversation: Long?): String = stored.getString(key(conversation), "").orEmpty()

    operator fun set(conversation: Long?, text: String) {
        val edit = stored.edit()
        if (text.isEmpty()) edit.remove(key(conversation)) else edit.putString(key(conversation), text)
        edit.apply()
    }

    private fun key(conversation: Long?): String = conversation?.toString() ?: "new"
}
