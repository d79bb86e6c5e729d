package dev.kerasfarm.app.ui

import android.app.Application
import android.os.Handler
import android.os.Looper
import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.readModelInfo

/** Holds the session for as long as the process lives. */
open class AutocompleteApplication : Application() {
    /** The one session of the process. */
    open val session: Session by lazy { newSession() }

    /** A session with the package's model. */
    protected fun newSession(): Session {
        val main = Handler(Looper.getMainLooper())
        return Session(
            readInfo = {
                // Read once on this thread, both files are at hand on the main one.
                Preferences(this).limit
                Drafts(this)[null]
                readInfo()
            },
            openModel = { open(it) },
            openStore = { openStore() },
            post = { main.post(it) },
        )
    }

    /** The conversations that are kept. */
    protected open fun openStore(): ConversationStore = ConversationStore(this)

    /** Which model the package has. */
    protected open fun readInfo(): ModelInfo = readModelInfo(assets)

    /** The package's model, opened. */
    protected open fun open(info: ModelInfo): TextGenerator = TextGenerator.open(assets, info, isFiltered(assets))

    /** A model is by far the largest thing that the process holds, and is soon opened again. */
    @Suppress("DEPRECATION") // Android 14 and later send fewer levels; the lowest of them is the second one here.
    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level == TRIM_MEMORY_RUNNING_CRITICAL || level >= TRIM_MEMORY_BACKGROUND) session.giveBack()
    }
}
