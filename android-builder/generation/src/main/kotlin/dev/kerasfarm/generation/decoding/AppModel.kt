package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.chat.encode
import dev.kerasfarm.generation.engine.LanguageModel
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.Segment
import dev.kerasfarm.generation.tokenizer.StreamDecoder
import dev.kerasfarm.generation.tokenizer.Tokenizer
import java.io.Closeable

/** The package holds a model whose text it cannot read. */
internal class TokenizerMissing : Exception("the model has no tokenizer that this app can use")

/** A model with its tokenizer and description: text in, text out. */
internal class AppModel(
    val info: ModelInfo,
    private val tokenizer: Tokenizer,
    private val model: LanguageModel,
) : Closeable {
    private val generator = Generator(model, info.stopTokens)

    init {
        if (model.vocabularySize != info.vocabularySize) {
            throw ModelUnusable("its file and its description do not belong together")
        }
        if (tokenizer.size > model.vocabularySize) throw ModelUnusable("its tokenizer belongs to another model")
    }

    /** The text's tokens, without the start token. */
    fun encode(text: String): IntArray = tokenizer.encode(text)

    /** What the model reads of a prompt's [tokens]: the last ones, [window] in all with the start token before them. */
    fun prompt(tokens: IntArray, window: Int): IntArray {
        val start = info.startToken ?: return tokens.takeLast(window).toIntArray()
        return intArrayOf(start) + tokens.takeLast(maxOf(window - 1, 0))
    }

    /** Begins a text behind [prompt], of at most [limit] tokens; turn them into text with [decoder]. */
    fun start(prompt: IntArray, limit: Int, sampler: Sampler): TokenRun = generator.start(prompt, limit, sampler)

    /** The same for a conversation: what the cache holds of [prompt] from an earlier run is not read again. */
    fun goOn(prompt: IntArray, limit: Int, sampler: Sampler): TokenRun =
        generator.start(prompt, limit, sampler, keeps = true)

    /** How many of the first tokens of [prompt] the cache holds. */
    fun held(prompt: IntArray): Int = generator.held.commonWith(prompt)

    /** The tokens of a conversation. */
    fun encode(segments: List<Segment>): IntArray = encode(tokenizer, segments)

    /** Turns this model's tokens into text as they come, as the continuation of a prompt. */
    fun decoder(): StreamDecoder = tokenizer.decoder(continues = true)

    override fun close() = model.close()
}
