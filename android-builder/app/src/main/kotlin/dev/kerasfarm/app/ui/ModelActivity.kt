package dev.kerasfarm.app.ui

import android.app.Activity
import android.os.Bundle
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.SessionState

/**
 * A screen that draws the session's state and owns nothing of it.
 *
 * What it shows depends on the model, which is looked up on the session's thread when a process begins. The views are
 * made when that is known, a moment later; what was saved of them waits until then.
 */
abstract class ModelActivity : Activity() {
    private val changed = { update() }
    private var built = false
    private var earlier: Bundle? = null
    private var restoring = false

    /** The session of the process. */
    protected val session: Session get() = (application as AutocompleteApplication).session

    /** What the user set; not before [build]. */
    protected lateinit var preferences: Preferences
        private set

    /** Makes the views. */
    protected abstract fun build(state: SessionState)

    /** Shows [state] in them. */
    protected open fun show(state: SessionState) = Unit

    /** Puts away what the views themselves do not. */
    protected open fun save(into: Bundle) = Unit

    /** Takes that back, after the views took back their part. */
    protected open fun restored(saved: Bundle) = Unit

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        earlier = savedInstanceState
        buildOnceKnown()
    }

    override fun onStart() {
        super.onStart()
        session.observe(changed)
        session.prepare()
        update()
    }

    override fun onStop() {
        session.forget(changed)
        super.onStop()
    }

    override fun onRestoreInstanceState(savedInstanceState: Bundle) {
        if (built) takeBack(savedInstanceState) else restoring = true
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        if (built) save(outState) else earlier?.let { outState.putAll(it) }
    }

    private fun update() {
        buildOnceKnown()
        if (built) show(session.state)
    }

    private fun buildOnceKnown() {
        val state = session.state
        if (built || !state.known) return
        preferences = Preferences(this)
        build(state)
        built = true
        if (restoring) earlier?.let { takeBack(it) }
    }

    private fun takeBack(saved: Bundle) {
        super.onRestoreInstanceState(saved)
        restored(saved)
        show(session.state)
    }
}
