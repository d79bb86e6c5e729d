package dev.kerasfarm.app.ui

import android.content.Context

/** What the user set, kept on the phone. */
class Preferences(context: Context) {
    private val stored = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** The most tokens that a generation may write: a multiple of [LIMIT_STEP] up to [LIMIT_HIGHEST]. */
    var limit: Int
        get() = stored.getInt(LIMIT, LIMIT_DEFAULT).coerceIn(LIMIT_STEP, LIMIT_HIGHEST)
        set(value) = stored.edit().putInt(LIMIT, value).apply()

    companion object {
        const val LIMIT_STEP = 8
        const val LIMIT_HIGHEST = 256
        private const val LIMIT_DEFAULT = 64
        private const val LIMIT = "max_new_tokens"
    }
}
