package dev.kerasfarm.app

import android.content.ClipboardManager
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.ui.Preferences
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf

/** The mode chat: what is said, shown and kept. */
class ChatScreenTest : ChatTest() {
    private fun turn(index: Int): View = view<ViewGroup>(R.id.turns).getChildAt(index)

    private fun pressIn(index: Int, id: Int) = check(turn(index).findViewById<View>(id).performClick())

    private fun kept(): List<SavedConversation> {
        var found: List<SavedConversation>? = null
        // Behind all that is being kept.
        session.chat.list("") { found = listOf() }
        await("the store") { found != null }
        return blocking {
            ConversationStore(app).use { store -> store.list().map { checkNotNull(store.read(it.id)) } }
        }
    }

    @Test
    fun turnsAreAnsweredShownAndKept() {
        chatting()
        assertTrue(visible(R.id.welcome))
        ask(questions[0])
        ask(questions[1])
        assertEquals(questions.take(2), chat.turns.map { it.question })
        await("two turns") { view<ViewGroup>(R.id.turns).childCount == 2 }
        assertEquals(questions[0], turn(0).findViewById<TextView>(R.id.question).text.toString())
        assertTrue(chat.contextTokens > 20)
        assertTrue(text(R.id.status), text(R.id.status).endsWith("of 256 tokens"))
        assertEquals(questions[0], text(R.id.title))
        assertEquals("", text(R.id.prompt))
        await("the store") { kept().singleOrNull()?.turns == chat.turns }
        pressIn(1, R.id.copy)
        val clip = activity.getSystemService(ClipboardManager::class.java).primaryClip
        assertEquals(chat.turns[1].answer.orEmpty().trim(), clip?.getItemAt(0)?.text)
        pressIn(1, R.id.share)
        val chooser = shadowOf(activity).nextStartedActivity

        @Suppress("DEPRECATION")
        val shared = chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT)
        assertEquals(chat.turns[1].answer.orEmpty().trim(), shared?.getStringExtra(Intent.EXTRA_TEXT))
    }

    @Test
    fun theLastAnswerIsWrittenAgainAndAQuestionEdited() {
        chatting()
        ask(questions[0])
        ask(questions[1])
        val first = chat.turns[1].answer
        pressIn(1, R.id.again)
        await("another answer") { !session.state.busy }
        assertNotEquals(first, chat.turns[1].answer)
        assertEquals(2, chat.turns.size)
        await("the buttons") { visible(R.id.generate) && turn(0).findViewById<View>(R.id.edit).visibility == View.VISIBLE }
        pressIn(0, R.id.edit)
        assertEquals(questions[0], text(R.id.prompt))
        press(R.id.cancel_edit)
        assertEquals("", text(R.id.prompt))
        pressIn(0, R.id.edit)
        assertTrue(visible(R.id.editing))
        ask(questions[2])
        assertEquals(listOf(questions[2]), chat.turns.map { it.question })
        await("the store") { kept().singleOrNull()?.turns == chat.turns }
    }

    @Test
    fun everythingOutlivesTheProcessAndAnotherModel() {
        chatting()
        ask(questions[0])
        val turns = chat.turns
        type("And a dra")
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.endProcess()
        app.name = "A later model"
        chatting(saved)
        await("the conversation") { chat.turns.isNotEmpty() && text(R.id.prompt) == "And a dra" }
        // Read again in the background: the question then costs only its own tokens.
        await("the reading") { chat.contextTokens > 20 && chat.total == 0 }
        assertEquals(turns, chat.turns)
        ask(questions[1])
        assertEquals(listOf("GPT2", null), chat.turns.map { it.model })
        await("who answered") { turn(0).findViewById<TextView>(R.id.answered_by).text.toString() == "Answered by GPT2" }
        await("the store") { kept().single().let { it.turns == chat.turns && it.model?.name == "A later model" } }
    }

    @Test
    fun whatCannotBeAskedStaysInTheField() {
        chatting()
        ask("  ")
        requireNotice("Write something first")
        ask("Why the fuck?")
        requireNotice("Your text has words")
        await("the question") { text(R.id.prompt) == "Why the fuck?" }
        val long = "Why? ".repeat(300).trim()
        ask(long)
        requireNotice("The prompt has ")
        val notice = session.state.notice as Notice.LongPrompt
        assertTrue(notice.tokens > 300 && notice.context == 256)
        await("the question") { text(R.id.prompt) == long }
        assertEquals(listOf<Turn>(), chat.turns)
        assertEquals(listOf<SavedConversation>(), kept())
    }

    @Test
    fun stopKeepsWhatWasWrittenAndDroppedTurnsAreMarked() {
        chatting()
        Preferences(activity).sampling = Sampling(temperature = 2f, seed = 5)
        controller.stop().start()
        type(questions[0])
        press(R.id.generate)
        press(R.id.stop)
        await("the end") { !session.state.busy }
        assertTrue(session.state.stopped)
        Preferences(activity).sampling = Sampling()
        controller.stop().start()
        for (number in 0 until 12) ask("${questions[number % 4]} And number $number?")
        await("a line") {
            chat.dropped > 0 && turn(chat.dropped).findViewById<View>(R.id.dropped).visibility == View.VISIBLE
        }
        assertEquals(13, chat.turns.size)
    }

    @Test
    fun conversationsAreChosenRenamedDeletedAndFound() {
        chatting()
        ask(questions[0])
        val first = checkNotNull(chat.id)
        type("not sent")
        press(R.id.new_chat)
        await("an empty one") { chat.id == null && chat.turns.isEmpty() && text(R.id.prompt) == "" }
        ask(questions[1])
        await("a number") { chat.id != null }
        val second = checkNotNull(chat.id)
        fun list(search: String = ""): List<Pair<Long, String>> {
            var found: List<Pair<Long, String>>? = null
            session.chat.list(search) { entries -> found = entries.map { it.id to it.title } }
            await("the list") { found != null }
            return checkNotNull(found)
        }
        assertEquals(listOf(second to questions[1], first to questions[0]), list())
        session.chat.rename(first, "100 %_ mine")
        assertEquals(listOf(first), list("%_").map { it.first })
        assertEquals(listOf(second), list(chat.turns[0].answer.orEmpty().trim().takeLast(12)).map { it.first })
        session.chat.delete(second) {}
        await("an empty one") { chat.id == null && chat.turns.isEmpty() }
        assertEquals(listOf(first), list().map { it.first })
        session.chat.undelete(second) {}
        assertEquals(setOf(first, second), list().map { it.first }.toSet())
        session.chat.delete(second) {}
        session.chat.purge()
        session.chat.open(first)
        await("the first") { chat.id == first && text(R.id.prompt) == "not sent" }
        assertEquals(listOf("100 %_ mine"), kept().map { it.title })
    }

    @Test
    fun aFullStorageIsToldAndTheConversationGoesOn() {
        app.storage = 40L shl 10
        chatting()
        val long = SavedConversation("Long", turns = List(40) { Turn("Question $it", "Words. ".repeat(200)) }).toJson()
        var refused = false
        session.chat.import({ long.byteInputStream() }) { id, _ -> refused = id == null }
        await("the refusal") { refused }
        requireNotice("This phone's storage is full")
        ask(questions[0])
        assertEquals(1, chat.turns.size)
    }

    @Test
    fun aQuestionThatIsEditedOutlivesTheProcess() {
        chatting()
        ask(questions[0])
        pressIn(0, R.id.edit)
        type("In other words")
        val saved = Bundle()
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.endProcess()
        chatting(saved)
        await("the question") { text(R.id.prompt) == "In other words" && visible(R.id.editing) }
        press(R.id.cancel_edit)
        assertEquals("", text(R.id.prompt))
    }

    @Test
    fun aDamagedStoreIsMovedAsideAndTold() {
        val file = app.getDatabasePath(ConversationStore.NAME)
        blocking {
            checkNotNull(file.parentFile).mkdirs()
            file.writeBytes(ByteArray(8192) { it.toByte() })
        }
        chatting()
        requireNotice("The kept conversations were damaged")
        val aside = checkNotNull(file.parentFile).listFiles().orEmpty().single { ".damaged-" in it.name }
        assertEquals(8192L, aside.length())
        ask(questions[0])
        await("the store") { kept().size == 1 }
    }
}
