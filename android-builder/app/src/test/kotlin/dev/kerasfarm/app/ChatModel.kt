package dev.kerasfarm.app

import android.content.res.AssetManager
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.Prompting
import dev.kerasfarm.generation.readModelInfo
import org.json.JSONArray
import org.json.JSONObject

/** What the tests' model was trained on, as a template: it knows questions and answers, and system texts are read as text. */
fun tinyTemplate(end: Int, thinking: JSONObject? = null): JSONObject {
    fun part(before: String, vararg after: Any) = JSONObject()
        .put("before", JSONArray(listOf(before)))
        .put("after", JSONArray(after.toList()))
        .put("trim", "none")
    return JSONObject()
        .put("format", 1)
        .put("begin", JSONArray(listOf(end)))
        .put("no_system", JSONArray())
        .put("default_system", JSONObject.NULL)
        .put("system", part("", "\n").put("place", "turn").put("question_trim", "none"))
        .put("user", part("Question: ", "\n"))
        .put("assistant", part("Answer:", end))
        .put("generation", JSONArray(listOf("Answer:")))
        .put("thinking", thinking ?: JSONObject.NULL)
        .put("source", "the tests")
}

/** The package's model as one that holds conversations. */
fun asChat(info: ModelInfo): ModelInfo = info.copy(
    prompting = Prompting(Mode.CHAT, Prompting.PLACE, info.prompting.prompts),
    chat = ChatTemplate.read(tinyTemplate(info.stopTokens.first())),
)

/** The same, opened. */
fun openChat(assets: AssetManager, context: Int? = null): TextGenerator {
    val info = asChat(readModelInfo(assets))
    return TextGenerator.open(assets, if (context == null) info else info.copy(context = context), filtered = true)
}
