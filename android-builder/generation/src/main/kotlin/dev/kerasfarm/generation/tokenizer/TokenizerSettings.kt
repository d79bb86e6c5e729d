package dev.kerasfarm.generation.tokenizer

import android.util.JsonReader
import android.util.JsonToken

/** What a `tokenizer.json` says beside its vocabulary and merges; [model] is the type of its model. */
internal class TokenizerSettings(
    val model: String,
    val added: List<AddedToken>,
    val normalization: List<NormalizationStep>,
    val preTokenizer: Map<*, *>?,
    val decoder: Map<*, *>?,
    val byteFallback: Boolean,
    val fusesUnknown: Boolean,
    val ignoresMerges: Boolean,
    val unknown: String?,
)

/**
 * Reads a `tokenizer.json` as a stream: it may hold a million strings. [vocabulary] and [merges] read the two large
 * parts from where the reader stands; [known] are added tokens that were read elsewhere.
 *
 * What this app would compute differently is refused, never passed over.
 */
internal class SettingsReader(
    private val json: JsonReader,
    private val vocabulary: (JsonReader) -> Unit,
    private val merges: (JsonReader) -> Unit,
    known: List<AddedToken> = emptyList(),
) {
    private val added = ArrayList(known)
    private var model = BPE
    private var normalizer: Map<*, *>? = null
    private var preTokenizer: Map<*, *>? = null
    private var decoder: Map<*, *>? = null
    private var byteFallback = false
    private var fusesUnknown = false
    private var ignoresMerges = false
    private var unknown: String? = null

    fun read(): TokenizerSettings {
        readObject { name ->
            when (name) {
                "added_tokens" -> readArray { added.add(readAddedToken()) }
                "normalizer" -> normalizer = readMap()
                "pre_tokenizer" -> preTokenizer = readMap()
                "decoder" -> decoder = readMap()
                "model" -> readModel()
                else -> json.skipValue()
            }
        }
        return TokenizerSettings(
            model,
            added,
            readNormalizer(normalizer),
            preTokenizer,
            decoder,
            byteFallback,
            fusesUnknown,
            ignoresMerges,
            unknown,
        )
    }

    private fun readAddedToken(): AddedToken {
        var content: String? = null
        var id: Long? = null
        var singleWord = false
        var stripsLeft = false
        var stripsRight = false
        var normalized = false
        var special = false
        readObject { name ->
            when (name) {
                "content" -> content = readValue() as? String
                "id" -> id = readValue() as? Long
                "single_word" -> singleWord = readValue() == true
                "lstrip" -> stripsLeft = readValue() == true
                "rstrip" -> stripsRight = readValue() == true
                "normalized" -> normalized = readValue() == true
                "special" -> special = readValue() == true
                else -> json.skipValue()
            }
        }
        val text = content ?: throw TokenizerUnusable("tokenizer.json adds a token without text")
        val number = id ?: throw TokenizerUnusable("tokenizer.json adds $text without an id")
        if (number !in 0L..MAX_ID) throw TokenizerUnusable("tokenizer.json gives $text the id $number")
        if (singleWord) throw TokenizerUnusable("tokenizer.json adds $text as a single_word")
        return AddedToken(number.toInt(), text, stripsLeft, stripsRight, normalized, special)
    }

    private fun readModel() = readObject { name ->
        when (name) {
            "type" -> model = json.nextString()
            "vocab" -> vocabulary(json)
            "merges" -> merges(json)
            "unk_token" -> unknown = readValue() as? String
            "byte_fallback" -> byteFallback = json.nextBoolean()
            "fuse_unk" -> fusesUnknown = json.nextBoolean()
            "ignore_merges" -> ignoresMerges = json.nextBoolean()
            "dropout", "continuing_subword_prefix", "end_of_word_suffix" -> {
                val value = readValue()
                if (value != null && value != "") throw TokenizerUnusable("tokenizer.json asks for a $name")
            }
            else -> json.skipValue()
        }
    }

    private fun readMap(): Map<*, *>? = when (val value = readValue()) {
        null -> null
        is Map<*, *> -> value
        else -> throw TokenizerUnusable("tokenizer.json has a value of another kind than expected")
    }

    private fun readValue(): Any? = when (json.peek()) {
        JsonToken.BEGIN_OBJECT -> LinkedHashMap<String, Any?>().also { map -> readObject { map[it] = readValue() } }
        JsonToken.BEGIN_ARRAY -> ArrayList<Any?>().also { list -> readArray { list.add(readValue()) } }
        JsonToken.BOOLEAN -> json.nextBoolean()
        JsonToken.NUMBER -> json.nextString().let { it.toLongOrNull() ?: it.toDouble() }
        JsonToken.NULL -> {
            json.nextNull()
            null
        }
        else -> json.nextString()
    }

    private inline fun readObject(field: (String) -> Unit) {
        json.beginObject()
        while (json.hasNext()) field(json.nextName())
        json.endObject()
    }

    private inline fun readArray(element: () -> Unit) {
        json.beginArray()
        while (json.hasNext()) element()
        json.endArray()
    }

    companion object {
        const val MAX_ID = 1L shl 22

        /** The type of a model that states none. */
        const val BPE = "BPE"
    }
}
