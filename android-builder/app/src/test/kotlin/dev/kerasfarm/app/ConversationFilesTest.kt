package dev.kerasfarm.app

import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.chat.ModelName
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.ByteArrayInputStream
import java.util.Random

/** Files of conversations, as JSON and as Markdown, without a model. */
class ConversationFilesTest {
    private val saved = SavedConversation(
        "Title",
        "2026-11-30T12:00:00Z",
        ModelName("Tiny", "ab"),
        "Be brief.",
        true,
        listOf(Turn("Q\u0000\"", "A\n🙂", "thought", "Elder"), Turn("open")),
    )

    /** What Markdown keeps: all but thoughts and hashes. */
    private fun readable(saved: SavedConversation) = saved.copy(
        model = saved.model?.copy(sha256 = null),
        turns = saved.turns.map { it.copy(thought = null) },
    )

    @Test
    fun aFileComesBackAsItWas() {
        assertEquals(saved, SavedConversation.parse(saved.toJson()))
        assertEquals(saved, SavedConversation.read(saved.toJson().byteInputStream()))
        assertEquals(readable(saved), SavedConversation.parse(saved.toMarkdown()))
        // Written by an editor of another system.
        assertEquals(readable(saved), SavedConversation.parse("\uFEFF" + saved.toMarkdown().replace("\n", "\r\n")))
        val lone = SavedConversation(turns = listOf(Turn("a\uD800b", "")))
        for (text in listOf(lone.toJson(), lone.toMarkdown())) {
            assertEquals("a\uFFFDb", SavedConversation.parse(text).turns.single().question)
        }
        val named = SavedConversation("a\n\u0007 b ".padEnd(300), model = ModelName("c\nd"), turns = listOf(Turn("e", "")))
        for (text in listOf(named.toJson(), named.toMarkdown())) {
            assertEquals("a b" to "c d", SavedConversation.parse(text).let { it.title to it.model?.name })
        }
    }

    @Test
    fun markdownIsATextToRead() {
        val text = SavedConversation(
            "France",
            model = ModelName("Tiny"),
            turns = listOf(Turn("What is\n\nit?", "**Paris**"), Turn("Why?", "So.", "I wonder", "Elder")),
        ).toMarkdown()
        val expected = """
            <!-- keras-android-farm/conversation, version 1 -->
            # France

            *Tiny* <!-- model -->

            <!-- question -->

            > What is
            >
            > it?

            <!-- answer -->

            **Paris**

            <!-- question -->

            > Why?

            *Elder* <!-- answer -->

            So.

            <!-- end -->

        """.trimIndent()
        assertEquals(expected, text)
    }

    @Test
    fun whateverIsSaidComesBackFromMarkdown() {
        val parts = listOf(
            "<!-- answer -->", "<!-- question -->", "<!-- end -->", "*Elder* <!-- answer -->", "\n", "\n\n", "\r", "\r\n",
            "> ", ">", " ", "\\", "# a", "word", "\t", "```", "*", "🙂", "\u0085", "\u2028",
        )
        val random = Random(1)
        fun text() = List(random.nextInt(6)) { parts[random.nextInt(parts.size)] }.joinToString("")
        repeat(2000) {
            val turns = List(1 + random.nextInt(3)) { Turn(text(), text(), null, if (random.nextBoolean()) "M*" else null) }
            val wanted = SavedConversation(system = if (random.nextBoolean()) text() else null, turns = turns)
            assertEquals(wanted, SavedConversation.parse(wanted.toMarkdown()))
        }
    }

    @Test
    fun otherFilesAreRefusedWithASentence() {
        val sound = SavedConversation(turns = listOf(Turn("a", "b"), Turn("c"))).toJson()
        val readable = SavedConversation(turns = listOf(Turn("a", "b"), Turn("c", "d"))).toMarkdown()
        val long = "x".repeat(SavedConversation.MOST_CHARACTERS)
        val many = SavedConversation(turns = List(10_001) { Turn("a", "b") })
        val cases = mapOf(
            "" to "The file is damaged",
            "A letter to a friend" to "The file is damaged",
            sound.dropLast(20) to "The file is damaged",
            "{}" to "The file is no conversation",
            "[".repeat(100_000) to "The file is no conversation: it is nested",
            sound.replace("\"version\": 1", "\"version\": 2") to "The file has the version 2 of",
            sound.replace("\"answer\": \"b\"", "\"answer\": null") to "Turn 1 of the file has no answer",
            sound.replace("\"question\": \"a\"", "\"query\": \"a\"") to "The file is damaged",
            sound.replace("\"question\": \"a\"", "\"question\": \"$long\"") to "Turn 1 of the file has more than",
            " ".repeat(SavedConversation.MOST_BYTES + 1) to "The file is larger than 16 MiB",
            many.toJson() to "The file has 10001 turns",
            many.copy(turns = many.turns + List(90_000) { Turn("a", "b") }).toJson() to "The file has far more turns",
            many.toMarkdown() to "The file has more than 10000 turns",
            readable.dropLast(10) to "The file is cut",
            readable.replace("version 1", "version 2") to "The file has the version 2 of",
            readable.replace("<!-- question -->\n\n> c\n\n", "") to "The file is damaged: its answer 2 has no question",
            readable.replace("<!-- answer -->\n\nb\n\n", "") to "Turn 1 of the file has no answer",
            SavedConversation(system = "$long.").toMarkdown() to "The file's system text has more than",
        )
        for ((text, beginning) in cases) {
            val refused = assertThrows(beginning, ConversationRefused::class.java) { SavedConversation.parse(text) }
            assertTrue("${refused.message}", refused.message.orEmpty().startsWith(beginning))
        }
        // Fewer signs than that, in more bytes.
        val large = ByteArrayInputStream("é".repeat(SavedConversation.MOST_BYTES / 2 + 1).toByteArray())
        val refused = assertThrows(ConversationRefused::class.java) { SavedConversation.read(large) }
        assertEquals("The file is larger than 16 MiB.", refused.message)
    }
}
