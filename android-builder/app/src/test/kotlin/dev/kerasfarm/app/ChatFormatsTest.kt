package dev.kerasfarm.app

import dev.kerasfarm.generation.chat.AnswerParts
import dev.kerasfarm.generation.chat.ContextWindow
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.chat.fitTurns
import dev.kerasfarm.generation.chat.render
import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.Segment
import dev.kerasfarm.generation.model.Thinking
import dev.kerasfarm.generation.tokenizer.StreamDecoder
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Test

/** Templates, thoughts and windows of conversations, without a model. */
class ChatFormatsTest {
    private fun template(changes: (JSONObject) -> Unit = {}) = ChatTemplate.read(
        JSONObject(
            """{"format":1,"begin":[2],"no_system":["none|"],"default_system":null,
            "system":{"place":"question","before":["<"],"after":[">"],"trim":"both","question_trim":"start"},
            "user":{"before":[5,"user|"],"after":[6],"trim":"both"},
            "assistant":{"before":[5,"model|"],"after":[6,"|"],"trim":"end"},
            "generation":[5,"model|"],"source":"here",
            "thinking":{"generation":[7],"open_token":7,"close_token":8,"opened":false,"always":false,"wanted":false}}""",
        ).also(changes),
    )

    private fun text(segments: List<Segment>) = segments.joinToString("") {
        when (it) {
            is Segment.Text -> it.text
            is Segment.Token -> "[${it.id}]"
        }
    }

    @Test
    fun turnsBecomeSegments() {
        val turns = listOf(Turn(" Hi ", " Yes ", "a thought"), Turn("And?"))
        assertEquals(
            "[2]none|[5]user|Hi[6][5]model| Yes[6]|[5]user|And?[6][5]model|",
            text(render(template(), " \n", turns, thinking = false)),
        )
        assertEquals(
            "[2][5]user|<be brief>Hi [6][5]model| Yes[6]|[5]user|And?[6][7]",
            text(render(template(), " be brief\u0085", turns, thinking = true)),
        )
        val own = template { it.getJSONObject("system").put("place", "turn") }
        assertEquals("[2]<a>[5]user|Hi[6][5]model| Yes[6]|", text(render(own, "a", turns.take(1), thinking = false)))
        val none = template { it.put("system", JSONObject.NULL) }
        assertEquals("[2]none|[5]user|Hi[6][5]model|", text(render(none, "a", listOf(Turn("Hi")), false)))
    }

    /** Token n is the text of number n. */
    private fun answer(opened: Boolean, strips: Boolean, thinks: Boolean, vararg texts: String): Pair<String, String> {
        val decoder = object : StreamDecoder {
            override fun push(id: Int): String = texts[id]

            override fun finish(): String = ""
        }
        val thinking = Thinking(listOf(), texts.indexOf("<t>"), texts.indexOf("</t>"), opened, false, true)
        val parts = AnswerParts({ decoder }, null, thinking.takeIf { thinks }, strips)
        val shown = texts.indices.map { parts.push(it) } + parts.finish()
        return shown.joinToString("") { it.thought } to shown.joinToString("") { it.text }
    }

    @Test
    fun thoughtsAreToldFromAnswers() {
        assertEquals(
            "a\nb" to "Yes\n",
            answer(false, false, true, "\n", "<t>", "\n", "a\n", "b", "\n", "</t>", "\n\n", "Yes\n"),
        )
        assertEquals("a" to "Yes", answer(true, false, true, "a", "</t>", "Yes"))
        // A marker behind other text is none: it would be part of the answer.
        assertEquals("" to "\nYes <t>", answer(false, false, true, "\n", "Yes ", "<t>"))
        assertEquals("a" to "", answer(false, false, true, "<t>", "a", "\n"))
        assertEquals("" to " \nYes", answer(false, false, false, " \n", "Yes"))
        assertEquals("" to "Yes ", answer(false, true, false, " \n", "Yes", " "))
        assertEquals("" to "  ", answer(false, false, true, " ", " "))
        assertEquals("a" to " b", answer(false, false, true, "<t>", "a", "</t>", "\n b"))
    }

    @Test
    fun theFewestTurnsAreDropped() {
        for (turns in 1..40) {
            for (room in 0..45) {
                val found = fitTurns(turns, room) { ContextWindow(it, IntArray(turns - it)) }
                assertEquals("$turns in $room", (turns - room).coerceIn(0, turns - 1), found.dropped)
            }
        }
    }
}
