package dev.kerasfarm.app

import androidx.test.platform.app.InstrumentationRegistry
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/**
 * Replays `golden.json` (in the assets of this test) on a phone: the model that the farm verified must write the same
 * tokens here. Where the best two tokens were as good as equal, another choice ends the comparison: processors round
 * differently.
 */
class GoldenPromptsTest {
    private val golden = JSONObject(asset("golden.json"))

    @Test
    fun theModelWritesTheGoldenTokens() {
        val app = InstrumentationRegistry.getInstrumentation().targetContext
        TextGenerator.open(app.assets, filtered = false).use { generator ->
            val prompts = golden.getJSONArray("prompts")
            var compared = 0
            for (index in 0 until prompts.length()) {
                val prompt = prompts.getJSONObject(index)
                if (prompt.optString("text").isNotBlank()) compared += compare(generator, prompt)
            }
            assertTrue("golden.json has no prompt in words", compared > 0)
        }
    }

    /** How many tokens agree. */
    private fun compare(generator: TextGenerator, prompt: JSONObject): Int {
        val expected = integers(prompt.getJSONArray("tokens")).filter { it !in generator.info.stopTokens }
        val margins = prompt.getJSONArray("margins")
        val window = generator.info.context - 1
        val steps = maxOf(margins.length(), expected.size, 1)
        val options = GenerationOptions(maxTokens = steps, contextWindow = window)
        val written = generator.generate(prompt.getString("text"), options) { true }.tokens.toList()
        val equal = expected.zip(written).takeWhile { (one, other) -> one == other }.size
        val tie = golden.getJSONObject("limits").getDouble("near_tie_margin")
        if (equal < margins.length() && margins.getDouble(equal) < tie) return equal
        assertEquals("after ${prompt.getString("text")}", expected, written)
        return equal
    }

    private fun integers(array: JSONArray): List<Int> = List(array.length()) { array.getInt(it) }

    private fun asset(name: String): String =
        InstrumentationRegistry.getInstrumentation().context.assets.open(name).bufferedReader().use { it.readText() }
}
