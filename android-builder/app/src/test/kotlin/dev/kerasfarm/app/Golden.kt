package dev.kerasfarm.app

import dev.kerasfarm.generation.model.Prompting
import org.json.JSONObject
import java.io.File

/** A prompt of `golden.json` (system property `golden`), what the verified model wrote after it, and its tokens. */
data class Golden(val text: String, val completion: String, val tokens: Int) {
    /** What a user typed, of what the model reads. */
    fun question(prompting: Prompting): String =
        text.removePrefix(prompting.template.substringBefore(Prompting.PLACE))
            .removeSuffix(prompting.template.substringAfter(Prompting.PLACE))
}

/** The prompts in words. */
fun goldenPrompts(): List<Golden> {
    val prompts = JSONObject(File(System.getProperty("golden")).readText()).getJSONArray("prompts")
    return (0 until prompts.length())
        .map { prompts.getJSONObject(it) }
        .filter { !it.isNull("text") }
        .map { Golden(it.getString("text"), it.getString("completion"), it.getJSONArray("tokens").length()) }
}
