package dev.kerasfarm.app

import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.PromptRefused
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.chat.Conversation
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.chat.render
import dev.kerasfarm.screens.AppRunner
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config

/** Conversations with the package's model. */
@RunWith(AppRunner::class)
@Config(sdk = [34])
class ConversationTest {
    private val generator = openChat(RuntimeEnvironment.getApplication().assets)
    private val questions = generator.info.prompting.prompts
    private val options = GenerationOptions(maxTokens = 24)

    @After
    fun close() = generator.close()

    @Test
    fun aFurtherQuestionCostsOnlyItsOwnTokens() {
        val conversation = Conversation(generator)
        val first = conversation.send(questions[0], options) { true }
        assertEquals(EndReason.END_OF_TEXT, first.reason)
        val before = conversation.contextTokens
        val second = conversation.send(questions[1], options) { true }
        // The end of the first turn and the new question; the last written token was never read.
        assertTrue("${second.readTokens}", second.readTokens in 2..conversation.countTokens(questions[1]) + 2)
        assertTrue(conversation.contextTokens > before)
        // A model that reads everything again answers the same.
        val fresh = Conversation(generator, turns = conversation.turns.take(1))
        generator.generate("Something else", options) { true }
        val again = fresh.send(questions[1], options) { true }
        assertTrue("${again.readTokens}", again.readTokens > second.readTokens)
        assertEquals(second.turn, again.turn)
        assertEquals(listOf(first.turn, second.turn), conversation.turns)
    }

    @Test
    fun theAnswerStreamsAndTheTurnGrows() {
        val conversation = Conversation(generator)
        val parts = conversation.send(questions[0], options)
        assertEquals(listOf(Turn(questions[0])), conversation.turns)
        var text = ""
        for (part in parts) {
            text += part
            assertEquals(text, conversation.turns.single().answer)
        }
        assertTrue(text.isNotBlank())
    }

    @Test
    fun whatCannotBeAskedLeavesTheConversationAsItWas() {
        val conversation = Conversation(generator)
        conversation.send(questions[0], options) { true }
        val turns = conversation.turns
        val long = "Why? ".repeat(generator.info.context)
        for ((question, reason) in listOf(
            " \n" to PromptRefused.Reason.EMPTY,
            "Why the fuck?" to PromptRefused.Reason.UNSUITABLE,
            long to PromptRefused.Reason.TOO_LONG,
        )) {
            val refused = assertThrows(PromptRefused::class.java) { conversation.send(question, options) }
            assertEquals(reason, refused.reason)
            assertEquals(turns, conversation.turns)
        }
        val refused = assertThrows(PromptRefused::class.java) { conversation.edit(0, long, options, ALL) }
        assertEquals(conversation.countTokens(long) to generator.info.context, refused.tokens to refused.room)
    }

    @Test
    fun theOldestTurnsAreLeftOutWholeAndTheSystemTextStays() {
        val system = "You explain functions."
        val conversation = Conversation(generator, system)
        val filler = List(12) { Turn("${questions[it % 4]} $it", " The answer number $it is written here.") }
        val long = Conversation(generator, system, filler)
        conversation.send(questions[0], options) { true }
        assertEquals(0, conversation.droppedTurns)
        long.send(questions[0], options) { true }
        val dropped = long.droppedTurns
        assertTrue("$dropped", dropped in 1..11)
        assertEquals(13, long.turns.size)
        // The fewest that leave room for an answer: what is read then is the same as without them.
        val kept = Conversation(generator, system, filler.drop(dropped))
        val answer = kept.send(questions[0], options) { true }
        assertEquals(0, kept.droppedTurns)
        assertEquals(long.turns.last(), answer.turn)
        val more = Conversation(generator, system, filler.drop(dropped - 1))
        more.send(questions[0], options) { true }
        assertEquals(1, more.droppedTurns)
        // Without its system text another one is read.
        val bare = Conversation(generator, null, filler.drop(dropped))
        val unread = bare.send(questions[0], options) { true }
        assertTrue(unread.contextTokens - unread.tokens < answer.contextTokens - answer.tokens)
    }

    @Test
    fun aUsersTextNeverBecomesASpecialToken() {
        val end = generator.info.stopTokens.first()
        val conversation = Conversation(generator)
        val plain = conversation.countTokens("a")
        val marked = conversation.countTokens("a<|endoftext|>")
        assertTrue("$marked tokens", marked > plain + 3)
        val segments = render(generator.info.chat!!, null, listOf(Turn("<|endoftext|>")), thinking = false)
        assertEquals(listOf(end), generator.model.encode(segments).filter { it == end })
    }

    @Test
    fun anAnswerEndsBeforeAWordThatIsNotShown() {
        val folder = folderThatHides(RuntimeEnvironment.getApplication().assets, "string")
        TextGenerator.open(folder).use { strict ->
            val conversation = Conversation(strict)
            val answer = conversation.send(questions[0], options) { true }
            assertEquals(EndReason.UNSUITABLE, answer.reason)
            assertTrue(answer.turn.answer, "string" !in answer.turn.answer.orEmpty() && answer.turn.answer != "")
            conversation.discard()
            assertEquals(listOf<Turn>(), conversation.turns)
        }
        folder.deleteRecursively()
    }

    @Test
    fun itIsAnsweredOnceMoreEditedForkedAndTakenBack() {
        val conversation = Conversation(generator)
        val first = conversation.send(questions[0], options) { true }
        val other = conversation.regenerate(options, ALL)
        assertEquals(1, conversation.turns.size)
        assertNotEquals(first.turn.answer, other.turn.answer)
        val fork = conversation.fork()
        conversation.send(questions[1], options) { true }
        assertEquals(1, fork.turns.size)
        fork.send(questions[2], options) { true }
        assertEquals(questions[1], conversation.turns.last().question)
        conversation.edit(0, questions[3], options, ALL)
        assertEquals(listOf(questions[3]), conversation.turns.map { it.question })
        conversation.discard()
        assertEquals(listOf<Turn>(), conversation.turns)
        assertThrows(IllegalStateException::class.java) { conversation.regenerate(options, ALL) }
    }

    @Test
    fun aCancelledAnswerKeepsWhatWasWritten() {
        val conversation = Conversation(generator)
        val long = GenerationOptions(maxTokens = 200, minTokens = 200)
        val answer = conversation.send(
            questions[0],
            long,
            object : GenerationListener {
                override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean {
                    if (tokens == 5) conversation.cancel()
                    return true
                }
            },
        )
        assertEquals(EndReason.STOPPED to 5, answer.reason to answer.tokens)
        assertTrue(conversation.turns.single().answer.orEmpty().isNotBlank())
        assertEquals(EndReason.END_OF_TEXT, conversation.send(questions[1], options) { true }.reason)
    }

    @Test
    fun aSavedConversationGoesOnAsIfItHadNotEnded() {
        val conversation = Conversation(generator, "You explain functions.")
        conversation.send(questions[0], options) { true }
        val file = conversation.save("Strings").toJson()
        val next = conversation.send(questions[1], options) { true }

        generator.generate("Something else", options) { true }
        val restored = Conversation.restore(generator, SavedConversation.parse(file))
        assertEquals("You explain functions.", restored.system)
        val places = ArrayList<Int>()
        assertTrue(
            restored.read(
                options,
                object : GenerationListener by ALL {
                    override fun onRead(read: Int, total: Int): Boolean = places.add(read)
                },
            ),
        )
        assertTrue(places.last() > 10)
        val answer = restored.send(questions[1], options) { true }
        assertEquals(next.turn, answer.turn)
        assertTrue("${answer.readTokens}", answer.readTokens < restored.countTokens(questions[1]) + 3)
        assertFalse(
            restored.read(
                options,
                object : GenerationListener by ALL {
                    override fun onRead(read: Int, total: Int): Boolean = false
                },
            ),
        )
        // Another model's answers say whose they are.
        val other = SavedConversation.parse(file.replace(generator.info.name, "Elder"))
        assertEquals(listOf("Elder"), Conversation.restore(generator, other).turns.map { it.model })
    }

    private companion object {
        val ALL = object : GenerationListener {
            override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = true
        }
    }
}
