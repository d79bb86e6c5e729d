package dev.kerasfarm.app.ui

import android.app.Application
import android.os.Handler
import android.os.Looper
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.generation.openModel

/** Holds the session for as long as the process lives. */
class AutocompleteApplication : Application() {
    /** The one session of the process. */
    val session: Session by lazy {
        val main = Handler(Looper.getMainLooper())
        Session({ openModel(assets) }, { openFilter(assets) }, { main.post(it) })
    }
}
