package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.engine.LanguageModel

/** Why a generation ended. */
enum class StopReason { END_TOKEN, TOKEN_LIMIT, CONTEXT_FULL, CANCELLED }

/** What a generation gave: [tokens] without the prompt and the end token; times in seconds. */
data class Generation(
    val tokens: IntArray,
    val reason: StopReason,
    val prefillSeconds: Double,
    val decodeSeconds: Double,
) {
    /** Generated tokens a second, 0 when there were none. */
    val tokensPerSecond: Double get() = if (decodeSeconds > 0) tokens.size / decodeSeconds else 0.0

    override fun equals(other: Any?): Boolean =
        other is Generation && tokens.contentEquals(other.tokens) && reason == other.reason

    override fun hashCode(): Int = 31 * tokens.contentHashCode() + reason.hashCode()
}

/** The prompt leaves no room for a single token: [promptTokens] of [context] places. */
class PromptTooLong(val promptTokens: Int, val context: Int) :
    Exception("the prompt has $promptTokens tokens and the model's context is $context; shorten the prompt")

/** Writes on from a prompt, token by token. */
class Generator(private val model: LanguageModel, private val stopTokens: Set<Int>) {
    private val logits = FloatArray(model.vocabularySize)

    /**
     * Generates at most [limit] tokens after [prompt] (start token included, not empty).
     *
     * [token] gets each one as it comes; [cancelled] is asked between steps. Throws [PromptTooLong].
     */
    fun generate(
        prompt: IntArray,
        limit: Int,
        sampler: Sampler,
        cancelled: () -> Boolean,
        token: (Int) -> Unit,
    ): Generation {
        val began = System.nanoTime()
        val run = start(prompt, limit, sampler)
        if (!run.read(cancelled)) return Generation(IntArray(0), StopReason.CANCELLED, since(began), 0.0)
        val prefilled = System.nanoTime()
        val generated = ArrayList<Int>()
        while (run.reason == null && !cancelled()) {
            val next = run.next() ?: break
            generated.add(next)
            token(next)
        }
        val reason = run.reason ?: StopReason.CANCELLED
        val prefillSeconds = (prefilled - began) / NANOSECONDS
        return Generation(generated.toIntArray(), reason, prefillSeconds, since(prefilled))
    }

    /** The same for a caller that asks for each token when it wants it. Throws [PromptTooLong]. */
    fun start(prompt: IntArray, limit: Int, sampler: Sampler): TokenRun {
        require(prompt.isNotEmpty()) { "a prompt needs at least one token" }
        require(prompt.all { it in 0 until model.vocabularySize }) { "a token of the prompt is not in the vocabulary" }
        if (prompt.size >= model.context) throw PromptTooLong(prompt.size, model.context)
        return TokenRun(model, stopTokens, prompt, limit, sampler, logits)
    }

    private fun since(start: Long): Double = (System.nanoTime() - start) / NANOSECONDS

    private companion object {
        const val NANOSECONDS = 1e9
    }
}
