package dev.kerasfarm.app

import android.content.ComponentCallbacks2
import android.content.res.Configuration
import android.os.Bundle
import android.view.View
import android.widget.EditText
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.app.ui.SettingsActivity
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf

class CompleteScreenTest : AppTest() {
    private val longest get() = goldenPrompts().maxBy { it.tokens }.text

    @Test
    fun itContinuesTheTextAtTheCursorWithTheGoldenTexts() {
        open()
        val prompts = goldenPrompts()
        assertTrue(prompts.isNotEmpty())
        for (golden in prompts) {
            val whole = golden.text + " And the rest."
            type(whole)
            view<EditText>(R.id.prompt).setSelection(golden.text.length)
            press(R.id.generate)
            await("the suggestion") { !session.state.busy }
            val written = session.state.text
            // The app stops at its own limit and at an end token, which has no text.
            assertTrue("${golden.completion} / $written", written.startsWith(golden.completion))
            assertEquals(golden.text + written + " And the rest.", text(R.id.prompt))
            press(R.id.dismiss)
            assertEquals(whole, text(R.id.prompt))
        }
    }

    @Test
    fun aSuggestionIsAcceptedAndUndoneAndAnotherOneCanBeHad() {
        open()
        answer(longest)
        val first = session.state.text
        await("the buttons") { visible(R.id.accept) && visible(R.id.next) && !visible(R.id.generate) }
        press(R.id.accept)
        assertEquals(longest + first, text(R.id.prompt))
        await("the buttons") { visible(R.id.generate) && view<View>(R.id.undo).isEnabled }
        view<EditText>(R.id.prompt).text.insert(0, "I. ")
        press(R.id.undo)
        assertEquals("I. $longest", text(R.id.prompt))
        assertFalse(view<View>(R.id.undo).isEnabled)

        answer(longest)
        val texts = (1..3).map {
            await("the button") { visible(R.id.next) }
            press(R.id.next)
            await("another suggestion") { !session.state.busy }
            assertEquals(longest + session.state.text, text(R.id.prompt))
            session.state.text
        }
        assertEquals("$texts", 4, (texts + first).toSet().size)
        // Whoever types has made another text of it.
        view<EditText>(R.id.prompt).text.insert(0, "x")
        assertEquals("x$longest", text(R.id.prompt))
        assertEquals("", session.state.text)
    }

    @Test
    fun aSpaceBeforeTheCursorIsNotDoubled() {
        open()
        answer(longest)
        val written = session.state.text
        answer("$longest ")
        assertEquals(written, session.state.text)
        assertEquals("$longest ${written.removePrefix(" ")}", text(R.id.prompt))
    }

    @Test
    fun wordsComeOneByOneAndTurningThePhoneDoesNotStopThem() {
        open()
        val seen = LinkedHashSet<Int>()
        session.observe { seen.add(session.state.text.length) }
        writeLong()
        await("some words") { session.state.tokens >= 2 || !session.state.busy }
        val before = session.state.tokens
        val turned = Configuration(activity.resources.configuration)
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE
        controller.configurationChange(turned)
        await("the answer") { !session.state.busy }
        // A short text may have ended by then.
        assertTrue(session.state.tokens >= before)
        assertFalse(session.state.stopped)
        // What was written before this thread had a turn is shown at once.
        assertTrue("$seen", seen.size >= 2 || before == session.state.tokens)
        await("the buttons") { visible(R.id.dismiss) }
        assertEquals(longest + session.state.text, text(R.id.prompt))
        press(R.id.dismiss)
        assertEquals(longest, text(R.id.prompt))
        assertEquals(1, app.opened)
    }

    @Test
    fun everythingOutlivesTheProcess() {
        open()
        answer(longest)
        press(R.id.accept)
        val first = text(R.id.prompt)
        press(R.id.generate)
        await("the suggestion") { !session.state.busy }
        val whole = text(R.id.prompt)
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.endProcess()
        open(saved = saved)
        await("the text") { text(R.id.prompt) == whole }
        assertEquals(2, app.opened)
        await("the buttons") { visible(R.id.dismiss) == (whole != first) }
        if (whole != first) press(R.id.dismiss)
        assertEquals(first, text(R.id.prompt))
        press(R.id.undo)
        assertEquals(longest, text(R.id.prompt))
    }

    @Test
    fun stopEndsTheWritingAtOnceAndASecondPressChangesNothing() {
        open()
        // A small model has written everything a moment later: on a busy machine the press may come too late.
        var presses = 0
        do {
            writeLong()
            session.generate("Another prompt", GenerationOptions(8))
            assertEquals(longest, session.state.prompt)
            press(R.id.stop)
            await("the end") { !session.state.busy }
        } while (!session.state.stopped && ++presses < PRESSES)
        assertTrue(session.state.stopped)
        await("the screen to say so") { text(R.id.status).endsWith("stopped") && !visible(R.id.stop) }
        assertEquals(longest + session.state.text, text(R.id.prompt))
        // And the next one is written from its beginning.
        press(if (visible(R.id.dismiss)) R.id.dismiss else R.id.generate)
        await("the end") { !session.state.busy }
        answer(longest)
        assertFalse(session.state.stopped)
    }

    @Test
    fun memoryIsGivenBackAndTheModelOpenedAgainWhenItIsNeeded() {
        open()
        answer(longest)
        val written = session.state.text
        screen(SettingsActivity::class.java) {}
        assertEquals(1, app.opened)
        app.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN)
        app.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        await("the model to close") { session.state.phase == Phase.CLOSED }
        assertEquals(longest + written, text(R.id.prompt))
        press(R.id.dismiss)
        answer(longest)
        assertEquals(written, session.state.text)
        assertEquals(2, app.opened)
    }

    @Test
    fun promptsThatItCannotContinueAreRefusedWithASentence() {
        open()
        answer("What the fuck is")
        requireNotice("Your text has words")
        assertEquals("", session.state.text)
        answer("Scunthorpe is")
        await("no notice") { view<View>(R.id.notice).visibility == View.GONE }
        Preferences(activity).window = 20
        answer("Nothing of this matters. ".repeat(60) + longest)
        requireNotice("The model read the last 20 tokens")
    }

    @Test
    fun nothingIsWrittenAfterNothing() {
        app.startToken = { null }
        open()
        answer("")
        requireNotice("Write something first")
    }

    @Test
    fun aStartTokenIsEnoughToGoOnFrom() {
        app.startToken = { info -> info.stopTokens.first() }
        open()
        answer("")
        assertNotEquals(Notice.EmptyPrompt, session.state.notice)
        assertTrue("${session.state}", session.state.text.isNotEmpty() || session.state.notice == Notice.NothingToSay)
    }

    @Test
    fun aSeedRepeatsATextAndAnotherOneDoesNot() {
        open()
        val texts = listOf(1L, 1L, 2L).map { seed ->
            Preferences(activity).sampling = Sampling(temperature = 1.5f, seed = seed)
            answer(longest)
            session.state.text
        }
        assertEquals(texts[0], texts[1])
        assertNotEquals(texts[0], texts[2])
    }

    @Test
    fun theIconsLeadToTheOtherScreens() {
        open()
        for ((icon, name) in listOf(R.id.settings to "SettingsActivity", R.id.about to "AboutActivity")) {
            press(icon)
            val intent = shadowOf(activity).nextStartedActivity
            assertTrue(intent.component?.className.orEmpty().endsWith(name))
        }
    }

    private fun writeLong() {
        Preferences(activity).limit = Preferences.LIMIT_HIGHEST
        Preferences(activity).sampling = Sampling(temperature = 2f, seed = 5)
        type(longest)
        press(R.id.generate)
    }

    private companion object {
        const val PRESSES = 20
    }
}
