package dev.kerasfarm.app

import android.content.res.Configuration
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.SeekBar
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.generation.decoding.WritingOptions
import dev.kerasfarm.app.ui.MainActivity
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric

class MainScreenTest : AppTest() {
    @Test
    fun itWritesTheGoldenTextsAfterTheirPrompts() {
        open()
        val prompts = goldenPrompts()
        assertTrue(prompts.isNotEmpty())
        for (golden in prompts) {
            answer(golden.text)
            val written = session.state.text
            // The app stops at its own limit and at an end token, which has no text.
            assertTrue("${golden.completion} / $written", written.startsWith(golden.completion))
            assertEquals(golden.text + written, text(R.id.output))
        }
    }

    @Test
    fun turningThePhoneDoesNotStopTheWriting() {
        open()
        longest()
        await("some words") { session.state.tokens >= 2 || !session.state.busy }
        val before = session.state.tokens
        val turned = Configuration(activity.resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        await("the answer") { !session.state.busy }
        assertTrue(session.state.tokens > before)
        assertFalse(session.state.stopped)
        assertEquals(session.state.prompt + session.state.text, text(R.id.output))
    }

    @Test
    fun thePromptOutlivesTheProcess() {
        open()
        type("Half a sentence that")
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        session.release()
        await("the model to close") { session.state.phase == Phase.CLOSED }
        controller = Robolectric.buildActivity(MainActivity::class.java).setup(saved)
        assertEquals("Half a sentence that", text(R.id.prompt))
        await("the model") { session.state.phase == Phase.READY }
        press(R.id.generate)
        await("the answer") { !session.state.busy }
        assertTrue(session.state.text.isNotEmpty())
    }

    @Test
    fun stopEndsTheWritingAtOnce() {
        open()
        longest()
        // At once: a small model has written everything a moment later.
        press(R.id.stop)
        await("the end") { !session.state.busy }
        assertTrue(session.state.stopped)
        await("the screen to say so") { text(R.id.status).endsWith("stopped") }
        assertFalse(view<Button>(R.id.stop).isEnabled)
    }

    @Test
    fun aSecondPressWhileItWritesChangesNothing() {
        open()
        longest()
        val running = session.state.prompt
        session.generate("Another prompt", WritingOptions(8))
        assertEquals(running, session.state.prompt)
        await("the screen to show it") { !view<Button>(R.id.generate).isEnabled }
        await("the answer") { !session.state.busy }
        assertEquals(running + session.state.text, text(R.id.output))
    }

    @Test
    fun anEmptyPromptIsAnsweredInWordsOrBySentence() {
        open()
        answer("")
        val hasStart = session.state.info?.startToken != null
        assertEquals(!hasStart, text(R.id.notice).startsWith("Write a prompt first"))
        assertEquals(if (hasStart) View.GONE else View.VISIBLE, view<View>(R.id.notice).visibility)
    }

    private fun longest() {
        view<SeekBar>(R.id.limit).run { progress = max }
        type(goldenPrompts().maxBy { it.tokens }.text)
        press(R.id.generate)
    }
}
