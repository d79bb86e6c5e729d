package dev.kerasfarm.generation.decoding

import kotlin.math.exp
import kotlin.random.Random

/**
 * How the next token is chosen.
 *
 * [temperature] 0 takes the most likely token; above, logits are divided by it and a token is drawn. [topK] keeps that
 * many tokens (0: all), [topP] the likeliest ones that together reach that probability (1: all). [repetitionPenalty]
 * above 1 makes tokens less likely that the prompt or the text already has. [seed] null draws differently each time.
 */
data class Sampling(
    val temperature: Float = 0f,
    val topK: Int = 0,
    val topP: Float = 1f,
    val repetitionPenalty: Float = 1f,
    val seed: Long? = null,
) {
    init {
        require(temperature >= 0 && topK >= 0 && topP > 0 && topP <= 1 && repetitionPenalty >= 1) { "$this" }
    }

    /** Whether another try may give another text. */
    val varies: Boolean get() = temperature > 0

    /** A sampler for one text after [prompt]; [attempt] counts the tries, each of which has random numbers of its own. */
    internal fun sampler(prompt: IntArray, attempt: Int = 0): Sampler {
        if (!varies && repetitionPenalty == 1f) return GreedySampler
        return PenalizingSampler(repetitionPenalty, prompt, if (varies) random(attempt) else GreedySampler)
    }

    private fun random(attempt: Int): Sampler {
        val numbers = if (seed == null) Random.Default else Random(seed * ATTEMPTS + attempt)
        return RandomSampler(temperature, topK, topP, numbers)
    }

    private companion object {
        const val ATTEMPTS = 1000L
    }
}

/** Lowers the logits of tokens that were there before (Keskar et al. 2019, CTRL), then asks [next]. */
internal class PenalizingSampler(private val penalty: Float, prompt: IntArray, private val next: Sampler) : Sampler {
    private val seen = prompt.toHashSet()

    override fun choose(logits: FloatArray): Int {
        if (penalty != 1f) {
            for (id in seen) logits[id] = if (logits[id] > 0) logits[id] / penalty else logits[id] * penalty
        }
        return next.choose(logits).also { seen.add(it) }
    }
}

/** Draws by probability among the [topK] likeliest tokens that together reach [topP]. */
internal class RandomSampler(
    private val temperature: Float,
    private val topK: Int,
    private val topP: Float,
    private val random: Random,
) : Sampler {
    override fun choose(logits: FloatArray): Int {
        val highest = logits.max()
        val weights = DoubleArray(logits.size) { exp((logits[it] - highest).toDouble() / temperature) }
        val kept = candidates(weights)
        var left = random.nextDouble() * kept.sumOf { weights[it] }
        for (id in kept) {
            left -= weights[id]
            if (left < 0) return id
        }
        return kept.last()
    }

    /** The tokens to draw from, the likeliest first where that matters. */
    private fun candidates(weights: DoubleArray): List<Int> {
        val all = weights.indices.toList()
        if (topK == 0 && topP == 1f) return all
        val sorted = all.sortedByDescending { weights[it] }
        val few = if (topK == 0) sorted else sorted.take(topK)
        if (topP == 1f) return few
        val enough = few.sumOf { weights[it] } * topP
        var sum = 0.0
        val last = few.indexOfFirst { id ->
            sum += weights[id]
            sum >= enough
        }
        return if (last < 0) few else few.take(last + 1)
    }
}
