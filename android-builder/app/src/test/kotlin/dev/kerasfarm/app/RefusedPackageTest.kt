package dev.kerasfarm.app

import android.view.View
import dev.kerasfarm.app.generation.Phase
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** A package whose model is missing or unfit says so; the sentence begins as the property `sentence` says. */
class RefusedPackageTest : AppTest() {
    @Test
    fun theScreenOpensWithASentence() {
        open(mode = null)
        val expected = System.getProperty("sentence").orEmpty()
        assertTrue(text(R.id.notice), expected.isNotEmpty() && text(R.id.notice).contains(expected))
        assertEquals(View.VISIBLE, view<View>(R.id.notice).visibility)
        assertEquals(Phase.CLOSED, session.state.phase)
        if (activity.findViewById<View>(R.id.generate) == null) return
        // Trying again neither crashes nor hangs.
        answer("Once upon a time")
        assertTrue(text(R.id.notice).contains(expected))
    }
}
