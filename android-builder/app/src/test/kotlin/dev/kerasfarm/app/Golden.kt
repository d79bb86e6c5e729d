package dev.kerasfarm.app

import org.json.JSONObject
import java.io.File

/** A prompt of `golden.json` (system property `golden`) and what the verified model wrote after it. */
data class Golden(val text: String, val completion: String, val tokens: Int)

/** The prompts in words. */
fun goldenPrompts(): List<Golden> {
    val prompts = JSONObject(File(System.getProperty("golden")).readText()).getJSONArray("prompts")
    return (0 until prompts.length())
        .map { prompts.getJSONObject(it) }
        .filter { !it.isNull("text") }
        .map { Golden(it.getString("text"), it.getString("completion"), it.getJSONArray("tokens").length()) }
}
