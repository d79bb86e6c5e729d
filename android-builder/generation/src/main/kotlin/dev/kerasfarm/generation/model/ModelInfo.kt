package dev.kerasfarm.generation.model

import org.json.JSONException
import org.json.JSONObject

/**
 * What the farm wrote down about the model (`model-info.json`).
 *
 * [startToken] is put before every prompt; generation ends at any of [stopTokens]; [context] is the greatest number of tokens,
 * prompt and completion together. [tokenizer] is null for a model whose text the app cannot read yet. [readsSpecial]:
 * whether special tokens in a prompt are read, and not taken for text. The hashes are hex SHA-256 of the files that belong
 * together; [source] is where the model came from. [chat]: how its conversations are written; null where that is not known.
 */
data class ModelInfo(
    val name: String,
    val family: String,
    val recipe: String,
    val context: Int,
    val vocabularySize: Int,
    val startToken: Int?,
    val stopTokens: Set<Int>,
    val tokenizer: String?,
    val tokenizerSha256: String?,
    val readsSpecial: Boolean,
    val modelSha256: String,
    val source: String,
    val sourceDigest: String?,
    val prompting: Prompting,
    val chat: ChatTemplate? = null,
) {
    companion object {
        const val FORMAT = 1
        const val BYTE_LEVEL_BPE = "byte-level-bpe"
        const val SENTENCEPIECE_BPE = "sentencepiece-bpe"

        /** The kinds of tokenizers that the app runs. */
        val TOKENIZERS = setOf(BYTE_LEVEL_BPE, SENTENCEPIECE_BPE)
        private const val READ = "read"

        /** Reads the JSON text; throws [ModelInfoUnusable] when a field is missing or the format is another. */
        fun parse(text: String): ModelInfo =
            try {
                read(JSONObject(text))
            } catch (error: JSONException) {
                throw ModelInfoUnusable("model-info.json is damaged: ${error.message}", error)
            }

        private fun read(json: JSONObject): ModelInfo {
            val format = json.getInt("format")
            if (format != FORMAT) throw ModelInfoUnusable("model-info.json has the format $format, not $FORMAT")
            val chat = json.optJSONObject("chat")?.let { ChatTemplate.read(it) }
            val prompting = Prompting.read(json.optJSONObject("prompting"))
            if (prompting.mode == Mode.CHAT && chat == null) throw ModelInfoUnusable("it has no chat template")
            return ModelInfo(
                name = json.getString("name"),
                family = json.getString("family"),
                recipe = json.getString("recipe"),
                context = json.getInt("context"),
                vocabularySize = json.getInt("vocabulary_size"),
                startToken = if (json.isNull("start_token")) null else json.getInt("start_token"),
                stopTokens = stopTokens(json),
                tokenizer = text(json, "tokenizer"),
                tokenizerSha256 = text(json, "tokenizer_sha256"),
                readsSpecial = text(json, "special_tokens") == READ,
                modelSha256 = json.getString("model_sha256"),
                source = json.getString("source"),
                sourceDigest = text(json, "source_digest"),
                prompting = prompting,
                chat = chat,
            )
        }

        private fun stopTokens(json: JSONObject): Set<Int> {
            val stated = json.getJSONArray("stop_tokens")
            if (stated.length() == 0) throw ModelInfoUnusable("model-info.json names no stop token")
            return (0 until stated.length()).map { stated.getInt(it) }.toSet()
        }

        private fun text(json: JSONObject, key: String): String? = if (json.isNull(key)) null else json.getString(key)
    }
}

/** `model-info.json` is damaged or of another version. */
class ModelInfoUnusable(message: String, cause: Throwable? = null) : Exception(message, cause)
