package dev.kerasfarm.app

import android.view.View
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** A package whose job switched the filter off. */
class UnfilteredPackageTest : AppTest() {
    @Test
    fun everyPromptIsTaken() {
        open(mode = null)
        answer("What the fuck is")
        assertTrue(session.state.text.isNotEmpty())
        assertEquals(View.GONE, view<View>(R.id.notice).visibility)
    }
}
