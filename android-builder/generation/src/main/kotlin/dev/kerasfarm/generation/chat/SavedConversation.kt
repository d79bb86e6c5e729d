package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.tokenizer.replaceLoneSurrogates
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** Which model: its [name], and the [sha256] of its file where that is known. */
data class ModelName(val name: String, val sha256: String? = null)

/**
 * A conversation as it is kept: the same file in the app, in this library and in `farm chat`.
 *
 * @property created when it began, as ISO 8601.
 * @property model which model answered, unless a turn says otherwise.
 */
data class SavedConversation @JvmOverloads constructor(
    val title: String? = null,
    val created: String? = null,
    val model: ModelName? = null,
    val system: String? = null,
    val thinking: Boolean = false,
    val turns: List<Turn> = emptyList(),
) {
    /** The file's text. */
    fun toJson(): String {
        val turns = JSONArray()
        for (turn in this.turns) {
            turns.put(
                JSONObject()
                    .put("question", clean(turn.question))
                    .put("answer", orNull(turn.answer))
                    .put("thought", orNull(turn.thought))
                    .put("model", orNull(turn.model)),
            )
        }
        val model = this.model?.let { JSONObject().put("name", it.name).put("sha256", orNull(it.sha256)) }
        return JSONObject()
            .put("format", FORMAT)
            .put("version", VERSION)
            .put("title", orNull(title))
            .put("created", orNull(created))
            .put("model", model ?: JSONObject.NULL)
            .put("system", orNull(system))
            .put("thinking", thinking)
            .put("turns", turns)
            .toString(1)
    }

    companion object {
        /** No file has more bytes. */
        const val MOST_BYTES = 16 shl 20

        /** No conversation has more turns. */
        const val MOST_TURNS = 10_000
        private const val FORMAT = "keras-android-farm/conversation"
        private const val VERSION = 1
        private const val DEEPEST = 16

        /** Reads a file's text. Unknown keys are passed over. @throws ConversationRefused with a sentence. */
        @JvmStatic
        @Throws(ConversationRefused::class)
        fun parse(text: String): SavedConversation {
            if (text.length > MOST_BYTES) throw ConversationRefused("The file is larger than 16 MiB.")
            if (depth(text) > DEEPEST) throw ConversationRefused("The file is no conversation: it is nested too deeply.")
            return try {
                read(JSONObject(text))
            } catch (error: JSONException) {
                throw ConversationRefused("The file is damaged or no conversation (${error.message}).", error)
            }
        }

        private fun read(json: JSONObject): SavedConversation {
            if (json.optString("format") != FORMAT) {
                throw ConversationRefused("The file is no conversation: its format is not $FORMAT.")
            }
            val version = json.getInt("version")
            if (version != VERSION) {
                throw ConversationRefused("The file has the version $version of the format; this app reads $VERSION.")
            }
            val array = json.getJSONArray("turns")
            if (array.length() > MOST_TURNS) {
                throw ConversationRefused("The file has ${array.length()} turns; a conversation has at most $MOST_TURNS.")
            }
            val turns = (0 until array.length()).map { turn(array.getJSONObject(it)) }
            val open = turns.dropLast(1).indexOfFirst { it.answer == null }
            if (open >=
                0
            ) {
                throw ConversationRefused("Turn ${open + 1} of the file has no answer; only the last may lack one.")
            }
            val model = json.optJSONObject("model")
            return SavedConversation(
                title = text(json, "title"),
                created = text(json, "created"),
                model = model?.let { ModelName(clean(it.getString("name")), text(it, "sha256")) },
                system = text(json, "system"),
                thinking = json.optBoolean("thinking"),
                turns = turns,
            )
        }

        private fun turn(json: JSONObject) =
            Turn(clean(json.getString("question")), text(json, "answer"), text(json, "thought"), text(json, "model"))

        private fun text(json: JSONObject, key: String): String? = if (json.isNull(key)) null else clean(json.getString(key))

        private fun orNull(text: String?): Any = text?.let { clean(it) } ?: JSONObject.NULL

        private fun clean(text: String): String = replaceLoneSurrogates(text)

        /** How deeply it is nested: a parser calls itself for each level. */
        private fun depth(text: String): Int {
            var depth = 0
            var deepest = 0
            var quoted = false
            var escaped = false
            for (letter in text) {
                when {
                    escaped -> escaped = false
                    quoted && letter == '\\' -> escaped = true
                    letter == '"' -> quoted = !quoted
                    quoted -> Unit
                    letter == '[' || letter == '{' -> deepest = maxOf(deepest, ++depth)
                    letter == ']' || letter == '}' -> depth--
                }
            }
            return deepest
        }
    }
}
