package dev.kerasfarm.strings

import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.strings.engine.Answer
import dev.kerasfarm.strings.engine.Cancelled
import dev.kerasfarm.strings.engine.ModelUnusable
import dev.kerasfarm.strings.engine.Options
import dev.kerasfarm.strings.engine.Outcome
import dev.kerasfarm.strings.engine.StringRunner
import dev.kerasfarm.strings.engine.StringsInfo
import dev.kerasfarm.strings.engine.TextWriter
import dev.kerasfarm.strings.engine.answerOf
import dev.kerasfarm.strings.engine.promptBytes
import dev.kerasfarm.strings.engine.readStrings
import dev.kerasfarm.strings.engine.write
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val GENERATE_INPUTS = "prompt max_new_tokens temperature top_k seed"

/** All of the I/O mode `strings` but TFLite itself, which has no library for this machine. */
class TextWriterTest {
    /** Answers by [reply] and remembers what it was asked. */
    private class Scripted(adjustable: Boolean, val reply: (ByteArray, Map<String, Any>) -> ByteArray) : StringRunner {
        val asked = ArrayList<Pair<String, Map<String, Any>>>()
        override val signatures = mapOf("serving_default" to setOf("prompt")) +
            if (adjustable) mapOf("generate" to GENERATE_INPUTS.split(" ").toSet()) else emptyMap()

        override fun run(signature: String, prompt: ByteArray, settings: Map<String, Any>): ByteArray {
            asked += signature to settings
            return reply(prompt, settings)
        }

        override fun cancel() = Unit

        override fun close() = Unit
    }

    private fun tensor(vararg texts: ByteArray): ByteBuffer {
        val header = (texts.size + 2) * 4
        val buffer = ByteBuffer.allocateDirect(header + texts.sumOf { it.size }).order(ByteOrder.LITTLE_ENDIAN)
        buffer.putInt(texts.size)
        var place = header
        for (text in texts) {
            buffer.putInt(place)
            place += text.size
        }
        buffer.putInt(place)
        texts.forEach { buffer.put(it) }
        buffer.flip()
        return buffer
    }

    @Test
    fun answersOfAnyLengthAreRead() {
        val long = ByteArray(100_000) { (it % 256).toByte() }
        val read = readStrings(tensor(long, ByteArray(0), "naïve 🙂".encodeToByteArray()).asReadOnlyBuffer())
        assertEquals(3, read.size)
        assertArrayEquals(long, read[0])
        assertEquals(0, read[1].size)
        assertEquals("naïve 🙂", read[2].decodeToString())
    }

    @Test
    fun damagedTensorsAreRefused() {
        val good = tensor("one".encodeToByteArray(), "two".encodeToByteArray())
        for ((place, value) in listOf(0 to -1, 0 to 1_000_000, 4 to 3, 8 to 2, 12 to 1_000_000, 8 to -5)) {
            val bad = ByteBuffer.allocate(good.limit()).order(ByteOrder.LITTLE_ENDIAN)
            bad.put(good.duplicate()).flip()
            bad.putInt(place, value)
            assertThrows("$place $value", ModelUnusable::class.java) { readStrings(bad) }
        }
        assertThrows(ModelUnusable::class.java) { readStrings(ByteBuffer.allocate(2)) }
    }

    @Test
    fun thePromptIsTakenOffOnlyWhereItIsByteForByte() {
        fun of(prompt: String, output: String) = answerOf(prompt.encodeToByteArray(), output.encodeToByteArray())
        assertEquals(Answer(" upon a time", true), of("Once", "Once upon a time"))
        assertEquals(Answer("", true), of("Once", "Once"))
        // Where a tokenizer gives other spaces back, or the prompt stands in the middle, nothing is drafted.
        assertEquals(Answer("Once  upon", false), of("Once upon", "Once  upon"))
        assertEquals(Answer("Said: Once", false), of("Once", "Said: Once"))
        assertEquals(Answer("On", false), of("Once", "On"))
    }

    @Test
    fun aCharacterThatIsCutInTwoIsLeftOut() {
        val output = "a🙂".encodeToByteArray()
        for (kept in 1..4) assertEquals("a", answerOf(ByteArray(0), output.copyOf(kept)).text)
        assertEquals("a🙂", answerOf(ByteArray(0), output).text)
        assertEquals("\uFFFD\uFFFDa", answerOf(ByteArray(0), byteArrayOf(-1, -2, 97)).text)
    }

    @Test
    fun theEndOfALongPromptIsReadFromAWholeWord() {
        assertEquals(0, promptBytes("short", 5).left)
        val cut = promptBytes("one two three four", 12)
        assertEquals("three four", cut.bytes.decodeToString())
        assertEquals(8, cut.left)
        assertEquals("🙂🙂", promptBytes("🙂🙂🙂", 11).bytes.decodeToString())
        assertEquals("xxxxxxxx", promptBytes("x".repeat(50), 8).bytes.decodeToString())
    }

    @Test
    fun settingsGoToTheSignatureThatTakesThem() {
        val runner = Scripted(true) { prompt, _ -> prompt + " end".encodeToByteArray() }
        val written = TextWriter(runner, 100).write("Hello", Options(7, 0.5f, 3, 9))
        assertEquals(Answer(" end", true), written.answer)
        val (signature, settings) = runner.asked.single()
        assertEquals("generate", signature)
        assertArrayEquals(intArrayOf(7), settings["max_new_tokens"] as IntArray)
        assertArrayEquals(intArrayOf(9), settings["seed"] as IntArray)
    }

    @Test
    fun aModelWithoutSettingsIsAskedForItsDefault() {
        val runner = Scripted(false) { prompt, _ -> prompt }
        val writer = TextWriter(runner, 100)
        assertFalse(writer.adjustable)
        writer.write("Hello", Options(7))
        assertEquals("serving_default" to emptyMap<String, Any>(), runner.asked.single())
    }

    @Test
    fun otherModelsAreRefused() {
        val other = object : StringRunner {
            override val signatures = mapOf("decode" to setOf("tokens"))
            override fun run(signature: String, prompt: ByteArray, settings: Map<String, Any>) = prompt
            override fun cancel() = Unit
            override fun close() = Unit
        }
        assertThrows(ModelUnusable::class.java) { TextWriter(other, 10) }
    }

    @Test
    fun unsuitableTextsAreWrittenAgainOnlyWhereThatHelps() {
        val filter = WordFilter(listOf("rude"))
        val greedy = Scripted(true) { prompt, _ -> prompt + " rude".encodeToByteArray() }
        assertEquals(Outcome.UnsuitableText, write(TextWriter(greedy, 100), filter, "Hello", Options(5)))
        assertEquals(1, greedy.asked.size)
        val sampled = Scripted(true) { prompt, settings ->
            prompt + (if ((settings["seed"] as IntArray)[0] < 2) " rude" else " kind").encodeToByteArray()
        }
        val outcome = write(TextWriter(sampled, 100), filter, "Hello", Options(5, temperature = 1f))
        assertEquals(" kind", (outcome as Outcome.Text).answer.text)
        assertEquals(3, sampled.asked.size)
        val plain = Scripted(false) { prompt, _ -> prompt + " rude".encodeToByteArray() }
        write(TextWriter(plain, 100), filter, "Hello", Options(5, temperature = 1f))
        assertEquals(1, plain.asked.size)
    }

    @Test
    fun promptsThatAreNotTakenAskTheModelNothing() {
        val runner = Scripted(true) { prompt, _ -> prompt }
        val writer = TextWriter(runner, 100)
        assertEquals(Outcome.UnsuitablePrompt, write(writer, WordFilter(listOf("rude")), "a RUDE word", Options(5)))
        assertEquals(Outcome.EmptyPrompt, write(writer, null, "  \n", Options(5)))
        assertTrue(runner.asked.isEmpty())
    }

    @Test
    fun aStoppedRunIsNoFault() {
        val runner = Scripted(true) { _, _ -> throw Cancelled() }
        assertEquals(Outcome.Stopped, write(TextWriter(runner, 100), null, "Hello", Options(5)))
    }

    @Test
    fun theIoModeComesFromTheModelsDescription() {
        fun text(ioMode: String) =
            """{"format": 1, "name": "n", "recipe": "none", "io_mode": "$ioMode", "prompt_bytes": 64, "output_tokens": 8}"""
        assertEquals(StringsInfo("n", "none", 64, 8), StringsInfo.parse(text("strings")))
        val error = assertThrows(ModelUnusable::class.java) { StringsInfo.parse(text("tokens")) }
        assertEquals("it is of the I/O mode tokens, and this app is for the I/O mode strings", error.message)
        assertThrows(ModelUnusable::class.java) { StringsInfo.parse("{}") }
        assertThrows(ModelUnusable::class.java) { StringsInfo.parse(text("strings").replace("1,", "2,")) }
    }
}
