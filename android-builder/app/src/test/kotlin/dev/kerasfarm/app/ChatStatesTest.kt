package dev.kerasfarm.app

import android.os.Bundle
import android.view.KeyEvent
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ListView
import android.widget.ProgressBar
import android.widget.Switch
import android.widget.TextView
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.ui.ConversationsActivity
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.app.ui.SettingsActivity
import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.screens.await
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowTextToSpeech
import java.io.File

/** States of the mode chat that a conversation seldom has, each drawn once. */
class ChatStatesTest : ChatTest() {
    private fun inTurn(index: Int, id: Int): View = view<ViewGroup>(R.id.turns).getChildAt(index).findViewById(id)

    private fun isSeen(view: View) = view.visibility == View.VISIBLE

    private fun look(name: String, shown: android.app.Activity = activity) {
        await("the layout") { !shown.window.decorView.isLayoutRequested }
        picture(shown, "state-$name")
        assertEquals(listOf<String>(), problemsOf(shown.findViewById(R.id.root)))
    }

    /** The tokens of the first golden answer, which is that to the first question. */
    private fun goldenTokens(): List<Int> {
        val prompts = JSONObject(File(System.getProperty("golden")).readText()).getJSONArray("prompts")
        val tokens = prompts.getJSONObject(0).getJSONArray("tokens")
        return List(tokens.length()) { tokens.getInt(it) }
    }

    @Test
    fun thoughtsAreCollapsedAndLeftOutOfTheHistory() {
        app.thoughtEnd = goldenTokens()[3]
        chatting()
        ask(questions[0])
        assertEquals(null, chat.turns.single().thought)
        val plain = chat.contextTokens
        press(R.id.new_chat)
        await("an empty one") { chat.turns.isEmpty() }
        screen(SettingsActivity::class.java) { screen ->
            val switch = screen.findViewById<Switch>(R.id.thinking_switch)
            assertTrue(isSeen(switch) && !switch.isChecked)
            switch.performClick()
        }
        assertEquals(true, Preferences(activity).thinking)
        controller.stop().start()
        ask(questions[0])
        val turn = chat.turns.single()
        assertTrue("$turn", !turn.thought.isNullOrBlank() && !turn.answer.isNullOrBlank())
        assertEquals(plain, chat.contextTokens)
        val switch = inTurn(0, R.id.thought_switch) as TextView
        assertTrue(isSeen(switch) && !isSeen(inTurn(0, R.id.thought)))
        check(switch.performClick())
        await("the thought") { (inTurn(0, R.id.thought) as TextView).text.toString() == turn.thought }
        assertTrue(isSeen(inTurn(0, R.id.thought)))
        look("thought")
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.endProcess()
        chatting(saved)
        await("the reading") { chat.contextTokens > 0 && chat.total == 0 }
        // Read again, the conversation has become shorter by the thought.
        assertTrue("${chat.contextTokens} of $plain", chat.contextTokens < plain)
        assertEquals(turn, chat.turns[0])
    }

    @Test
    fun anAnswerThatEndsBeforeAWordIsDiscarded() {
        app.unsuitable = "string"
        chatting()
        ask(questions[0])
        assertEquals(EndReason.UNSUITABLE, chat.ended)
        requireNotice("The answer ends before words")
        assertTrue("string" !in chat.turns.single().answer.orEmpty())
        assertTrue(isSeen(inTurn(0, R.id.discard)))
        look("unsuitable")
        check(inTurn(0, R.id.discard).performClick())
        await("an empty conversation") { chat.turns.isEmpty() && isSeen(view(R.id.welcome)) }
        assertEquals("", text(R.id.notice))
    }

    @Test
    fun aQuestionIsEditedAndTheConversationReadAgain() {
        chatting()
        ask(questions[0])
        ask(questions[1])
        check(inTurn(0, R.id.edit).performClick())
        look("editing")
        press(R.id.cancel_edit)
        session.update { it.copy(chat = it.chat.copy(read = 30, total = 120)) }
        await("the share") { "25" in text(R.id.status) }
        val bar = view<ProgressBar>(R.id.progress)
        assertTrue(isSeen(bar) && !bar.isIndeterminate)
        assertEquals(30 to 120, bar.progress to bar.max)
        look("reading-again")
        session.update { it.copy(chat = it.chat.copy(read = 0, total = 0)) }
        answer("Why? ".repeat(300).trim())
        requireNotice("The prompt has ")
        look("too-long")
    }

    @Test
    fun theKeyboardSendsAndTheStatusIsReadOutOnceItIsStill() {
        chatting()
        type(questions[0])
        val enter = KeyEvent(0, 0, KeyEvent.ACTION_DOWN, KeyEvent.KEYCODE_ENTER, 0, KeyEvent.META_CTRL_ON)
        check(view<EditText>(R.id.prompt).dispatchKeyEvent(enter))
        await("the answer") { !session.state.busy && chat.turns.isNotEmpty() }
        val status = view<View>(R.id.status)
        await("the status") { status.accessibilityLiveRegion == View.ACCESSIBILITY_LIVE_REGION_POLITE }
        session.update { it.copy(phase = Phase.WRITING) }
        await("silence") { status.accessibilityLiveRegion == View.ACCESSIBILITY_LIVE_REGION_NONE }
        session.update { it.copy(phase = Phase.READY) }
        await("the status") { status.accessibilityLiveRegion == View.ACCESSIBILITY_LIVE_REGION_POLITE }
        assertEquals(questions[0], chat.turns.single().question)
        // Enter alone begins another line.
        val plain = KeyEvent(0, 0, KeyEvent.ACTION_DOWN, KeyEvent.KEYCODE_ENTER, 0, 0)
        type("One")
        view<EditText>(R.id.prompt).dispatchKeyEvent(plain)
        await("the screen") { true }
        assertEquals(1, chat.turns.size)
    }

    @Test
    fun anAnswerIsReadAloudWithoutItsSigns() {
        chatting()
        val turns = listOf(Turn("What is it?", "# Title\n\nIt is **bold** and `code`."))
        val file = SavedConversation("Spoken", turns = turns).toJson()
        session.chat.import({ file.byteInputStream() }) { id, _ -> session.chat.open(checkNotNull(id)) }
        await("the turn") { view<ViewGroup>(R.id.turns).childCount == 1 && isSeen(inTurn(0, R.id.speak)) }
        check(inTurn(0, R.id.speak).performClick())
        val voice = shadowOf(ShadowTextToSpeech.getLastTextToSpeechInstance())
        assertEquals(null, voice.lastSpokenText)
        voice.onInitListener.onInit(android.speech.tts.TextToSpeech.SUCCESS)
        assertEquals("Title.\nIt is bold and code.", voice.lastSpokenText)
        controller.pause().stop()
        assertTrue(voice.isStopped)
        controller.destroy()
        assertTrue(voice.isShutdown)
    }

    @Test
    fun aPhoneWithoutAVoiceSaysSo() {
        chatting()
        ask(questions[0])
        check(inTurn(0, R.id.speak).performClick())
        val voice = shadowOf(ShadowTextToSpeech.getLastTextToSpeechInstance())
        voice.onInitListener.onInit(android.speech.tts.TextToSpeech.ERROR)
        assertEquals(activity.getString(R.string.no_voice), text(R.id.status))
        assertEquals(null, voice.lastSpokenText)
    }

    @Test
    fun theListSaysThatNothingIsFoundAndOffersToUndo() {
        chatting()
        ask(questions[0])
        screen(ConversationsActivity::class.java) { screen ->
            await("the list") { screen.findViewById<ListView>(R.id.list).count == 1 }
            screen.findViewById<EditText>(R.id.search).setText("nothing like it")
            await("none") { isSeen(screen.findViewById(R.id.none)) }
            look("nothing-found", screen)
        }
    }
}
