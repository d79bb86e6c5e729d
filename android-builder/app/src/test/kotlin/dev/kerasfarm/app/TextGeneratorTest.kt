package dev.kerasfarm.app

import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.ModelRefused
import dev.kerasfarm.generation.PromptRefused
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.screens.AppRunner
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import java.io.File
import java.nio.file.Files

/** The library's interface, over the assets of the package. */
@RunWith(AppRunner::class)
@Config(sdk = [34])
class TextGeneratorTest {
    private val generator = TextGenerator.open(RuntimeEnvironment.getApplication().assets)
    private val golden = goldenPrompts().first { it.tokens > 4 }

    @After
    fun close() = generator.close()

    @Test
    fun bothFormsWriteTheGoldenText() {
        val options = GenerationOptions(maxTokens = golden.tokens)
        assertEquals(golden.completion, generator.generate(golden.text, options).joinToString(""))
        val parts = ArrayList<String>()
        val result = generator.generate(golden.text, options) { parts.add(it) }
        assertEquals(golden.completion, result.text)
        assertEquals(golden.completion, parts.joinToString(""))
        // An end token is among the golden ones and has no text.
        assertTrue("${result.tokens.size}", golden.tokens - result.tokens.size in 0..1)
        assertTrue(result.tokensPerSecond > 0)
    }

    @Test
    fun aReaderDecidesHowMuchIsWritten() {
        val result = generator.generate(golden.text, GenerationOptions(maxTokens = 50)) { false }
        assertEquals(EndReason.STOPPED, result.reason)
        assertTrue("${result.tokens.size} tokens", result.tokens.size < 50)
        assertTrue(generator.generate(golden.text).first().isNotEmpty())
    }

    @Test
    fun aListenerSeesTheReadingAndEveryToken() {
        val places = ArrayList<Int>()
        val counts = ArrayList<Int>()
        val listener = object : GenerationListener {
            override fun onRead(read: Int, total: Int): Boolean = places.add(read)

            override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = counts.add(tokens)
        }
        val result = generator.generate(golden.text, GenerationOptions(maxTokens = 4), listener)
        assertEquals(listOf(0, result.promptTokens), listOf(places.first(), places.last()))
        assertEquals((1..result.tokens.size).toList(), counts.distinct())
        val stopping = object : GenerationListener {
            override fun onRead(read: Int, total: Int): Boolean = false

            override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = true
        }
        val stopped = generator.generate(golden.text, GenerationOptions(maxTokens = 4), stopping)
        assertEquals(EndReason.STOPPED to 0, stopped.reason to stopped.tokens.size)
    }

    @Test
    fun anotherBeginningAndALeastLengthCanBeAskedFor() {
        fun write(options: GenerationOptions) = generator.generate(golden.text, options) { true }
        val first = write(GenerationOptions(maxTokens = 1)).tokens.single()
        val second = write(GenerationOptions(maxTokens = 1, notFirst = setOf(first))).tokens.single()
        assertTrue(first != second)
        // Sooner or later every text of this model ends by itself.
        val limit = generator.info.context / 2
        assertEquals(EndReason.END_OF_TEXT, write(GenerationOptions(limit)).reason)
        val long = write(GenerationOptions(limit, minTokens = limit))
        assertEquals(EndReason.TOKEN_LIMIT to limit, long.reason to long.tokens.size)
    }

    @Test
    fun aPromptThatMustBeReadWholeIsRefusedWithBothNumbers() {
        val cut = generator.generate(golden.text, GenerationOptions(maxTokens = 1, contextWindow = 2)) { true }
        assertEquals(2, cut.promptTokens)
        val options = GenerationOptions(maxTokens = 1, contextWindow = 2, wholePrompt = true)
        val refused = assertThrows(PromptRefused::class.java) { generator.generate(golden.text, options) }
        assertEquals(PromptRefused.Reason.TOO_LONG, refused.reason)
        assertEquals(2 to 2 + cut.promptTokensLeft, refused.room to refused.tokens)
    }

    @Test
    fun aNewTextEndsTheOneBefore() {
        val first = generator.generate(golden.text, GenerationOptions(maxTokens = 50)).iterator()
        first.next()
        generator.generate(golden.text)
        val error = assertThrows(IllegalStateException::class.java) { while (first.hasNext()) first.next() }
        assertEquals("another text was begun", error.message)
    }

    @Test
    fun unsuitableAndEmptyPromptsAreRefused() {
        withStartToken(null) {
            for (prompt in listOf("you shit", "")) {
                assertThrows(prompt, PromptRefused::class.java) { it.generate(prompt) }
            }
        }
    }

    @Test
    fun aStartTokenIsAPromptByItself() {
        val token = generator.generate(golden.text, GenerationOptions(maxTokens = 1)) { true }.tokens.single()
        withStartToken(token) {
            val result = it.generate("", GenerationOptions(maxTokens = 4)) { true }
            assertTrue("${result.reason}", result.tokens.isNotEmpty() || result.reason == EndReason.END_OF_TEXT)
            // The token stands before the text: alone it is what the model goes on from.
            assertThrows(PromptRefused::class.java) { it.generate("you shit") }
        }
    }

    /** The package's model with that start token, opened from a folder. */
    private fun withStartToken(token: Int?, use: (TextGenerator) -> Unit) {
        val folder = Files.createTempDirectory("model").toFile()
        val assets = RuntimeEnvironment.getApplication().assets
        for (name in listOf("autocomplete.tflite", "tokenizer.bin", "tokenizer.json")) {
            assets.open(name).use { source -> File(folder, name).outputStream().use { source.copyTo(it) } }
        }
        val info = JSONObject(assets.open("model-info.json").bufferedReader().use { it.readText() })
        File(folder, "model-info.json").writeText(info.put("start_token", token ?: JSONObject.NULL).toString())
        try {
            TextGenerator.open(folder, assets).use(use)
        } finally {
            folder.deleteRecursively()
        }
    }

    @Test
    fun aClosedGeneratorSaysSo() {
        val begun = generator.generate(golden.text).iterator()
        begun.next()
        generator.close()
        generator.close()
        assertThrows(IllegalStateException::class.java) { generator.generate(golden.text) }
        assertThrows(IllegalStateException::class.java) { while (begun.hasNext()) begun.next() }
    }

    @Test
    fun whatIsMissingIsNamed() {
        val refused = assertThrows(ModelRefused::class.java) { TextGenerator.open(File("/nowhere")) }
        assertTrue(refused.message, refused.message.orEmpty().startsWith("There is no file autocomplete.tflite"))
        assertThrows(IllegalArgumentException::class.java) { GenerationOptions(maxTokens = 0) }
        assertThrows(IllegalArgumentException::class.java) { GenerationOptions(topP = 2f) }
    }
}
