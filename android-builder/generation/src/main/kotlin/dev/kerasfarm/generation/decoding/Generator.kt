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
class Generator(private val model: LanguageModel, private val endToken: Int) {
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
        require(prompt.isNotEmpty()) { "a prompt needs at least one token" }
        require(prompt.all { it in 0 until model.vocabularySize }) { "a token of the prompt is not in the vocabulary" }
        if (prompt.size >= model.context) throw PromptTooLong(prompt.size, model.context)
        val began = System.nanoTime()
        if (!prefill(prompt, cancelled)) return Generation(IntArray(0), StopReason.CANCELLED, since(began), 0.0)
        val prefilled = System.nanoTime()
        val generated = ArrayList<Int>()
        val reason = decode(prompt, limit, sampler, cancelled) {
            generated.add(it)
            token(it)
        }
        val prefillSeconds = (prefilled - began) / NANOSECONDS
        return Generation(generated.toIntArray(), reason, prefillSeconds, since(prefilled))
    }

    /** All tokens but the last, which gives the first logits. False when cancelled. */
    private fun prefill(prompt: IntArray, cancelled: () -> Boolean): Boolean {
        model.reset()
        var position = 0
        for (step in model.prefillPlan(prompt.size - 1, position)) {
            if (cancelled()) return false
            model.runPrefill(step, prompt, position, position)
            position += step.count
        }
        return true
    }

    /** Every token is chosen from the logits behind those chosen before it: guesses only save runs. */
    private fun decode(
        prompt: IntArray,
        limit: Int,
        sampler: Sampler,
        cancelled: () -> Boolean,
        token: (Int) -> Unit,
    ): StopReason {
        val guesser = Guesser(prompt)
        var current = prompt.last()
        var position = prompt.size - 1
        var count = 0
        while (count < limit) {
            if (cancelled()) return StopReason.CANCELLED
            if (position >= model.context) return StopReason.CONTEXT_FULL
            val guesses = guesser.guess(minOf(model.roomAt(position), limit - count) - 1)
            model.score(intArrayOf(current) + guesses, position)
            var held = 0
            while (true) {
                model.readLogits(held, logits)
                position++
                current = sampler.choose(logits)
                if (current == endToken) return StopReason.END_TOKEN
                token(current)
                count++
                guesser.append(current)
                if (held == guesses.size || guesses[held] != current) break
                if (cancelled()) return StopReason.CANCELLED
                held++
            }
            guesser.judge(guesses.size, held)
        }
        return StopReason.TOKEN_LIMIT
    }

    private fun since(start: Long): Double = (System.nanoTime() - start) / NANOSECONDS

    private companion object {
        const val NANOSECONDS = 1e9
    }
}
