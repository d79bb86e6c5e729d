package dev.kerasfarm.generation

import dev.kerasfarm.generation.decoding.ConstrainedSampler
import dev.kerasfarm.generation.decoding.Sampler
import dev.kerasfarm.generation.decoding.Sampling

/**
 * How a text is written.
 *
 * @property maxTokens at most so many tokens; a token is a word or a part of one.
 * @property contextWindow the model reads at most so many of the prompt's last tokens; null: half of its context. Too
 *   few, and it knows too little; too many, and no room is left to write.
 * @property temperature 0 takes the most likely token, so that the same prompt gives the same text; above, tokens are
 *   drawn, the more freely the higher it is.
 * @property topK draw among that many tokens; 0: among all.
 * @property topP draw among the likeliest tokens that together reach that probability; 1: among all.
 * @property repetitionPenalty above 1, tokens that the prompt or the text already has become less likely.
 * @property seed the same seed draws the same text; null: another one each time.
 * @property minTokens the model does not end its text before it has so many tokens.
 * @property notFirst tokens with which the text does not begin: with the first ones of earlier texts, it is another one.
 * @property wholePrompt refuses a prompt that is longer than the context window, instead of reading its last tokens.
 * @property minP draw among tokens that are at least that times as likely as the likeliest; 0: among all.
 * @throws IllegalArgumentException when a value is out of its range.
 */
data class GenerationOptions @JvmOverloads constructor(
    val maxTokens: Int = 64,
    val contextWindow: Int? = null,
    val temperature: Float = 0f,
    val topK: Int = 0,
    val topP: Float = 1f,
    val repetitionPenalty: Float = 1f,
    val seed: Long? = null,
    val minTokens: Int = 0,
    val notFirst: Set<Int> = emptySet(),
    val wholePrompt: Boolean = false,
    val minP: Float = 0f,
) {
    private val sampling = Sampling(temperature, topK, topP, repetitionPenalty, seed, minP)

    /** A sampler for one text behind [prompt]. */
    internal fun sampler(prompt: IntArray, stopTokens: Set<Int>): Sampler {
        val chosen = sampling.sampler(prompt)
        // Where there was a text before, none at all is no other one.
        val least = maxOf(minTokens, if (notFirst.isEmpty()) 0 else 1)
        return if (least == 0) chosen else ConstrainedSampler(notFirst, stopTokens, least, chosen)
    }

    init {
        require(maxTokens > 0) { "maxTokens is $maxTokens; use a number from 1" }
        require(contextWindow == null || contextWindow > 0) { "contextWindow is $contextWindow; use a number from 1" }
        require(minTokens >= 0) { "minTokens is $minTokens; use a number from 0" }
    }
}

/** The window to use for a context: at least one token, and one place is left to write; [wanted] null: half of it. */
fun windowFor(wanted: Int?, context: Int): Int = (wanted ?: (context / 2)).coerceIn(1, context - 1)
