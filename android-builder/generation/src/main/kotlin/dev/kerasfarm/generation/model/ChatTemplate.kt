package dev.kerasfarm.generation.model

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/**
 * How a model's conversations are written: what stands around each text (the key `chat` of `model-info.json`).
 *
 * @property takesSystem whether a system text can be given.
 * @property defaultSystem the system text that stands there where none is given; null without one.
 * @property thinking how the model thinks before it answers; null for a model that does not.
 * @property source where the template comes from.
 */
class ChatTemplate internal constructor(
    internal val begin: List<Segment>,
    internal val noSystem: List<Segment>,
    internal val system: SystemPart?,
    internal val user: Part,
    internal val assistant: Part,
    internal val generation: List<Segment>,
    val defaultSystem: String?,
    val thinking: Thinking?,
    val source: String,
) {
    val takesSystem: Boolean get() = system != null

    internal companion object {
        const val FORMAT = 1

        /** Reads the object; throws [ModelInfoUnusable]. */
        fun read(json: JSONObject): ChatTemplate {
            val format = json.getInt("format")
            if (format != FORMAT) throw ModelInfoUnusable("its chat template has the format $format, not $FORMAT")
            return ChatTemplate(
                begin = segments(json.getJSONArray("begin")),
                noSystem = segments(json.getJSONArray("no_system")),
                system = json.optJSONObject("system")?.let { systemPart(it) },
                user = part(json.getJSONObject("user")),
                assistant = part(json.getJSONObject("assistant")),
                generation = segments(json.getJSONArray("generation")),
                defaultSystem = if (json.isNull("default_system")) null else json.getString("default_system"),
                thinking = json.optJSONObject("thinking")?.let { thinking(it) },
                source = json.optString("source"),
            )
        }

        private fun systemPart(json: JSONObject): SystemPart {
            val place = json.getString("place")
            if (place != "turn" && place != "question") {
                throw ModelInfoUnusable("its chat template puts the system text into the $place")
            }
            return SystemPart(part(json), place == "question", trim(json.getString("question_trim")))
        }

        private fun part(json: JSONObject) = Part(
            segments(json.getJSONArray("before")),
            segments(json.getJSONArray("after")),
            trim(json.getString("trim")),
        )

        private fun thinking(json: JSONObject) = Thinking(
            generation = segments(json.getJSONArray("generation")),
            openToken = json.getInt("open_token"),
            closeToken = json.getInt("close_token"),
            opened = json.getBoolean("opened"),
            always = json.getBoolean("always"),
            wanted = json.getBoolean("wanted"),
        )

        private fun trim(name: String): Trim = Trim.entries.find { it.name.lowercase() == name }
            ?: throw ModelInfoUnusable("its chat template trims texts by $name")

        private fun segments(array: JSONArray): List<Segment> = (0 until array.length()).map {
            when (val value = array.get(it)) {
                is String -> Segment.Text(value)
                is Int -> Segment.Token(value)
                else -> throw JSONException("a segment is $value")
            }
        }
    }
}

/**
 * How a model thinks before it answers.
 *
 * @property always it cannot be kept from it.
 * @property wanted whether the job that made the app wants it, unless the user chooses otherwise.
 */
class Thinking internal constructor(
    internal val generation: List<Segment>,
    internal val openToken: Int,
    internal val closeToken: Int,
    internal val opened: Boolean,
    val always: Boolean,
    val wanted: Boolean,
)

/** A piece of what a model reads: a token as it is, or text. */
internal sealed interface Segment {
    data class Token(val id: Int) : Segment

    data class Text(val text: String) : Segment
}

/** What stands around a role's text, and what is taken off that. */
internal class Part(val before: List<Segment>, val after: List<Segment>, val trim: Trim)

/**
 * The same of the system text: a turn of its own, or the beginning of the first question ([inQuestion]), whose own
 * trimming then is [questionTrim].
 */
internal class SystemPart(val part: Part, val inQuestion: Boolean, val questionTrim: Trim)

/** Which white space is taken off a text: what Python's `str.strip` takes. */
internal enum class Trim {
    NONE,
    BOTH,
    START,
    END,
    ;

    val takesStart: Boolean get() = this == BOTH || this == START

    fun apply(text: String): String = when (this) {
        NONE -> text
        BOTH -> text.trim(::isBlank)
        START -> text.trimStart(::isBlank)
        END -> text.trimEnd(::isBlank)
    }
}

/** Whether Python takes it for white space; Kotlin's own idea of it differs. */
internal fun isBlank(letter: Char): Boolean = letter in BLANKS

/** Whether a text is nothing but white space. */
internal fun isBlank(text: String): Boolean = text.all { isBlank(it) }

private val BLANKS = (
    ('\u0009'..'\u000D') + ('\u001C'..'\u0020') + ('\u2000'..'\u200A') +
        listOf('\u0085', '\u00A0', '\u1680', '\u2028', '\u2029', '\u202F', '\u205F', '\u3000')
    ).toSet()
