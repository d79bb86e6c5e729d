package dev.kerasfarm.app

import android.content.ClipboardManager
import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class InstructScreenTest : AppTest() {
    private val prompting get() = session.state.info!!.prompting

    @Test
    fun itAnswersTheGoldenQuestionsAndStopsAtTheirEnd() {
        open(mode = null)
        val suggestions = view<ViewGroup>(R.id.suggestions)
        assertEquals(prompting.prompts, (0 until suggestions.childCount).map { (suggestions.getChildAt(it) as Button).text })
        for (golden in goldenPrompts()) {
            val question = golden.question(prompting)
            answer(question)
            assertTrue("${golden.completion} / ${session.state.text}", session.state.text.startsWith(golden.completion))
            assertEquals(question, text(R.id.question))
            await("the answer") { text(R.id.answer) == session.state.text.trim() }
            assertTrue(session.state.tokens < Preferences(activity).options(prompting.mode).maxTokens)
            assertEquals("", text(R.id.prompt))
        }
        press(R.id.copy)
        val clip = activity.getSystemService(ClipboardManager::class.java).primaryClip
        assertEquals(session.state.text.trim(), clip?.getItemAt(0)?.text)
        val asked = session.state.prompt
        press(R.id.next)
        await("another answer") { !session.state.busy }
        assertEquals(asked, session.state.prompt)
        assertEquals(1, session.state.attempt)
    }

    @Test
    fun aSuggestedQuestionIsAskedAndItsAnswerOutlivesTheProcess() {
        open(mode = null)
        assertEquals(View.VISIBLE, view<View>(R.id.welcome).visibility)
        view<ViewGroup>(R.id.suggestions).getChildAt(0).performClick()
        await("the answer") { !session.state.busy }
        val question = text(R.id.question)
        val answer = session.state.text.trim()
        assertEquals(prompting.prompts.first(), question)
        type("And now")
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.endProcess()
        open(mode = null, saved = saved)
        await("the answer") { text(R.id.answer) == answer }
        assertEquals(question, text(R.id.question))
        await("what was typed") { text(R.id.prompt) == "And now" }
        assertEquals(View.GONE, view<View>(R.id.welcome).visibility)
    }

    @Test
    fun questionsThatItCannotTakeAreRefusedWithASentence() {
        open(mode = null)
        answer("  ")
        requireNotice("Write something first")
        answer("Why the fuck?")
        requireNotice("Your text has words")
        assertEquals("Why the fuck?", text(R.id.prompt))
        assertEquals(View.GONE, view<View>(R.id.question).visibility)
        answer("Why? ".repeat(300))
        requireNotice("The prompt has ")
        Preferences(activity).limit = Preferences.LIMIT_HIGHEST
        Preferences(activity).sampling = Sampling(temperature = 2f, seed = 5)
        type(prompting.prompts.last())
        press(R.id.generate)
        press(R.id.stop)
        await("the end") { !session.state.busy }
        assertTrue(session.state.stopped)
        await("the button") { view<View>(R.id.stop).visibility == View.GONE }
    }
}
