package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.tokenizer.replaceLoneSurrogates
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** The file of a conversation as JSON, whose keys are documented with the farm's `chat`. */
internal object ConversationJson {
    private const val DEEPEST = 16

    /** A file with more commas and colons than this, which a phone has no memory for, has too many turns. */
    private const val MOST_SIGNS = 32 * SavedConversation.MOST_TURNS

    fun write(saved: SavedConversation): String {
        val turns = JSONArray()
        for (turn in saved.turns) {
            turns.put(
                JSONObject()
                    .put("question", clean(turn.question))
                    .put("answer", orNull(turn.answer))
                    .put("thought", orNull(turn.thought))
                    .put("model", orNull(turn.model)),
            )
        }
        val model = saved.model?.let { JSONObject().put("name", it.name).put("sha256", orNull(it.sha256)) }
        return JSONObject()
            .put("format", ConversationFile.FORMAT)
            .put("version", ConversationFile.VERSION)
            .put("title", orNull(saved.title))
            .put("created", orNull(saved.created))
            .put("model", model ?: JSONObject.NULL)
            .put("system", orNull(saved.system))
            .put("thinking", saved.thinking)
            .put("turns", turns)
            .toString(1)
    }

    fun read(text: String): SavedConversation {
        inspect(text)
        return try {
            conversation(JSONObject(text))
        } catch (error: JSONException) {
            throw ConversationRefused("The file is damaged, or no conversation that this app wrote.", error)
        }
    }

    private fun conversation(json: JSONObject): SavedConversation {
        if (json.optString("format") != ConversationFile.FORMAT) {
            throw ConversationRefused("The file is no conversation: its format is not $ConversationFile.FORMAT.")
        }
        val version = json.getInt("version")
        if (version != ConversationFile.VERSION) throw ConversationFile.otherVersion("$version")
        val turns = json.getJSONArray("turns")
        if (turns.length() > SavedConversation.MOST_TURNS) throw ConversationFile.tooManyTurns("${turns.length()}")
        return SavedConversation(
            title = text(json, "title"),
            created = text(json, "created"),
            model = json.optJSONObject("model")?.let { ModelName(it.getString("name"), text(it, "sha256")) },
            system = text(json, "system"),
            thinking = json.optBoolean("thinking"),
            turns = (0 until turns.length()).map { turn(turns.getJSONObject(it)) },
        )
    }

    private fun turn(json: JSONObject) =
        Turn(json.getString("question"), text(json, "answer"), text(json, "thought"), text(json, "model"))

    private fun text(json: JSONObject, key: String): String? = if (json.isNull(key)) null else json.getString(key)

    private fun orNull(text: String?): Any = text?.let { clean(it) } ?: JSONObject.NULL

    private fun clean(text: String): String = replaceLoneSurrogates(text)

    /** Refuses what a parser could not take: it calls itself for each level, and makes an object of each value. */
    private fun inspect(text: String) {
        var depth = 0
        var signs = 0
        var quoted = false
        var escaped = false
        for (letter in text) {
            when {
                escaped -> escaped = false
                quoted && letter == '\\' -> escaped = true
                letter == '"' -> quoted = !quoted
                quoted -> Unit
                letter == ',' || letter == ':' -> signs++
                letter == '[' || letter == '{' -> depth++
                letter == ']' || letter == '}' -> depth--
            }
            if (depth > DEEPEST) throw ConversationRefused("The file is no conversation: it is nested too deeply.")
        }
        if (signs > MOST_SIGNS) throw ConversationFile.tooManyTurns("far more")
    }
}
