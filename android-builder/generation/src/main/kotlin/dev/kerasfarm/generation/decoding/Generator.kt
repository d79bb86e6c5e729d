package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.engine.LanguageModel

/** Why a text ended by itself. */
internal enum class StopReason { END_TOKEN, TOKEN_LIMIT, CONTEXT_FULL, MEMORY_FULL }

/** The prompt leaves no room for a single token: [promptTokens] of [context] places. */
internal class PromptTooLong(val promptTokens: Int, val context: Int) :
    Exception("the prompt has $promptTokens tokens and the model's context is $context; shorten the prompt")

/** Begins texts behind prompts. */
internal class Generator(private val model: LanguageModel, private val stopTokens: Set<Int>) {
    private val logits = FloatArray(model.vocabularySize)

    /** What the model's cache holds. */
    val held = HeldTokens()

    /**
     * Begins a text of at most [limit] tokens after [prompt] (start token included, not empty). [keeps]: what the cache
     * holds of the prompt is not read again. Throws [PromptTooLong].
     */
    fun start(prompt: IntArray, limit: Int, sampler: Sampler, keeps: Boolean = false): TokenRun {
        require(prompt.isNotEmpty()) { "a prompt needs at least one token" }
        require(prompt.all { it in 0 until model.vocabularySize }) { "a token of the prompt is not in the vocabulary" }
        if (prompt.size >= model.context) throw PromptTooLong(prompt.size, model.context)
        return TokenRun(model, stopTokens, prompt, limit, sampler, logits, held, keeps)
    }
}
