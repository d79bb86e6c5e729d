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
import java.io.File
import java.nio.file.Files

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

/**
 * The package's model as one that holds conversations; all before the token [thoughtEnd] is its thought, where it has one
 * and thinking is on.
 */
fun asChat(info: ModelInfo, thoughtEnd: Int? = null): ModelInfo {
    val end = info.stopTokens.first()
    val thinking = thoughtEnd?.let {
        JSONObject()
            .put("generation", JSONArray(listOf("Answer:")))
            .put("open_token", end)
            .put("close_token", it)
            .put("opened", true)
            .put("always", false)
            .put("wanted", false)
    }
    return info.copy(
        prompting = Prompting(Mode.CHAT, Prompting.PLACE, info.prompting.prompts),
        chat = ChatTemplate.read(tinyTemplate(end, thinking)),
    )
}

/** The same, opened. */
fun openChat(assets: AssetManager, context: Int? = null): TextGenerator {
    val info = asChat(readModelInfo(assets))
    return TextGenerator.open(assets, if (context == null) info else info.copy(context = context), filtered = true)
}

/** The package's files as a folder with a list of its own of what is not shown; delete it behind the use. */
fun folderThatHides(assets: AssetManager, word: String): File {
    val folder = Files.createTempDirectory("model").toFile()
    for (name in listOf("autocomplete.tflite", "tokenizer.bin", "tokenizer.json", "unicode-classes.bin")) {
        assets.open(name).use { source -> File(folder, name).outputStream().use { source.copyTo(it) } }
    }
    val info = JSONObject(assets.open("model-info.json").bufferedReader().use { it.readText() })
    File(folder, "model-info.json").writeText(info.put("chat", tinyTemplate(info.getInt("start_token"))).toString())
    File(folder, "filter").mkdir()
    File(folder, "filter/en.txt").writeText("$word\n")
    return folder
}
