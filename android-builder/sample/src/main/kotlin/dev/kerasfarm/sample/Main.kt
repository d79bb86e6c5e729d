package dev.kerasfarm.sample

import dev.kerasfarm.generation.GenerationException
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import org.json.JSONArray
import org.json.JSONObject
import java.io.File

/**
 * The library on a computer: `Main FOLDER TOKENS PROMPT...`, where the folder has the library's assets and a model.
 *
 * Writes a line of JSON for each prompt: what was written, in how many parts it came, and why it ended.
 */
fun main(arguments: Array<String>) {
    val (folder, tokens) = arguments
    val options = GenerationOptions(maxTokens = tokens.toInt(), contextWindow = Int.MAX_VALUE)
    TextGenerator.open(File(folder)).use { generator ->
        for (prompt in arguments.drop(2)) println(answer(generator, prompt, options))
    }
}

private fun answer(generator: TextGenerator, prompt: String, options: GenerationOptions): JSONObject =
    try {
        val parts = generator.generate(prompt, options).toList()
        val result = generator.generate(prompt, options) { true }
        JSONObject()
            .put("text", result.text)
            .put("tokens", JSONArray(result.tokens))
            .put("reason", result.reason.name)
            .put("parts", JSONArray(parts))
    } catch (refused: GenerationException) {
        JSONObject().put("refused", refused.message)
    }
