package dev.kerasfarm.generation

import dev.kerasfarm.generation.decoding.StopReason

/**
 * What [TextGenerator.generate] wrote.
 *
 * @property text everything that was handed out.
 * @property tokens the written tokens, without the one that ends a text.
 * @property reason why the text ended.
 * @property tokensPerSecond how fast it was written, the reading of the prompt left out.
 * @property promptTokens how many tokens the model read before it wrote, its start token among them.
 * @property promptTokensLeft how many tokens before those had no place in the context window, and were not read.
 */
class GenerationResult internal constructor(
    val text: String,
    val tokens: IntArray,
    val reason: EndReason,
    val tokensPerSecond: Double,
    val promptTokens: Int,
    val promptTokensLeft: Int,
)

/** Why a text ended. */
enum class EndReason {
    /** The model ended it. */
    END_OF_TEXT,

    /** It has as many tokens as were asked for. */
    TOKEN_LIMIT,

    /** The model's context is full. */
    CONTEXT_FULL,

    /** There is no memory for a longer text. */
    MEMORY_FULL,

    /** The caller stopped it. */
    STOPPED,

    /** The model wrote a word that the filter does not let through; the text ends before it. */
    UNSUITABLE,
}

internal fun StopReason.asEndReason(): EndReason = when (this) {
    StopReason.END_TOKEN -> EndReason.END_OF_TEXT
    StopReason.TOKEN_LIMIT -> EndReason.TOKEN_LIMIT
    StopReason.CONTEXT_FULL -> EndReason.CONTEXT_FULL
    StopReason.MEMORY_FULL -> EndReason.MEMORY_FULL
}
