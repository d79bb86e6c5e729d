package dev.kerasfarm.generation.decoding

import kotlin.math.floor
import kotlin.random.Random

/**
 * How the next token is chosen; docs/sampling.md writes the arithmetic down, which `farm chat` computes to the last bit
 * as well.
 *
 * [temperature] 0 takes the most likely token; above, logits are divided by it and a token is drawn. [topK] keeps that
 * many tokens (0: all), [topP] the likeliest ones that together reach that share (1: all), [minP] those that are at least
 * that times as likely as the likeliest (0: all). [repetitionPenalty] above 1 makes tokens less likely that the prompt or
 * the text already has. [seed] null draws differently each time.
 */
data class Sampling(
    val temperature: Float = 0f,
    val topK: Int = 0,
    val topP: Float = 1f,
    val repetitionPenalty: Float = 1f,
    val seed: Long? = null,
    val minP: Float = 0f,
) {
    init {
        require(temperature >= 0 && topK >= 0 && topP > 0 && topP <= 1) { "$this" }
        require(repetitionPenalty >= 1 && minP >= 0 && minP <= 1) { "$this" }
    }

    /** Whether another try may give another text. */
    val varies: Boolean get() = temperature > 0

    /** A sampler for one text after [prompt]; [attempt] counts the tries, each of which has random numbers of its own. */
    internal fun sampler(prompt: IntArray, attempt: Int = 0): Sampler {
        if (!varies && repetitionPenalty == 1f) return GreedySampler
        return PenalizingSampler(repetitionPenalty, prompt, if (varies) random(attempt) else GreedySampler)
    }

    private fun random(attempt: Int): Sampler =
        RandomSampler(this, SplitMix64((seed ?: Random.Default.nextLong()) * ATTEMPTS + attempt))

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

/** Random numbers from 64 bits of state (Steele, Lea and Flood, 2014). */
internal class SplitMix64(private var state: Long) {
    /** A number from 0 to below 1, of 53 bits. */
    fun nextShare(): Double {
        state += STEP
        var mixed = state
        mixed = (mixed xor (mixed ushr 30)) * FIRST
        mixed = (mixed xor (mixed ushr 27)) * SECOND
        return ((mixed xor (mixed ushr 31)) ushr 11) * SHARE
    }

    private companion object {
        const val STEP = -7046029254386353131L // 0x9E3779B97F4A7C15
        const val FIRST = -4658895280553007687L // 0xBF58476D1CE4E5B9
        const val SECOND = -7723592293110705685L // 0x94D049BB133111EB
        const val SHARE = 1.0 / (1L shl 53)
    }
}

/** Draws by weight among the tokens that the settings leave. */
internal class RandomSampler(private val settings: Sampling, private val random: SplitMix64) : Sampler {
    override fun choose(logits: FloatArray): Int {
        val highest = logits.max()
        val temperature = settings.temperature.toDouble()
        val weights = DoubleArray(logits.size) { exponential((logits[it] - highest).toDouble() / temperature) }
        val kept = candidates(logits, weights)
        val wanted = random.nextShare() * kept.sumInOrder(weights)
        var sum = 0.0
        for (id in kept) {
            sum += weights[id]
            if (sum > wanted) return id
        }
        return kept.last()
    }

    /** The tokens to draw from: by id, or the likeliest first where a number or a share of them is asked for. */
    private fun candidates(logits: FloatArray, weights: DoubleArray): IntArray {
        var kept = weights.indices.filter { weights[it] >= LEAST_WEIGHT }.toIntArray()
        val minP = settings.minP.toDouble()
        if (settings.topK == 0 && settings.topP == 1f) return kept.filter { weights[it] >= minP }.toIntArray()
        kept = sorted(kept, logits)
        if (settings.topK > 0) kept = kept.copyOf(minOf(settings.topK, kept.size))
        if (settings.topP < 1f) kept = kept.copyOf(reaching(kept, weights))
        return kept.filter { weights[it] >= minP }.toIntArray()
    }

    /** How many from the front together reach the share. */
    private fun reaching(kept: IntArray, weights: DoubleArray): Int {
        val enough = kept.sumInOrder(weights) * settings.topP.toDouble()
        var sum = 0.0
        for (place in kept.indices) {
            sum += weights[kept[place]]
            if (sum >= enough) return place + 1
        }
        return kept.size
    }

    /** The greatest logit first, equal ones by id: sorted as numbers of 64 bits, since boxes for a vocabulary cost. */
    private fun sorted(ids: IntArray, logits: FloatArray): IntArray {
        val keys = LongArray(ids.size) { (descending(logits[ids[it]]).toLong() shl 32) or ids[it].toLong() }
        keys.sort()
        return IntArray(keys.size) { keys[it].toInt() }
    }

    /** An integer that is the less the greater [value] is; both zeros are equal. */
    private fun descending(value: Float): Int {
        val bits = (value + 0f).toRawBits()
        return (if (bits < 0) bits xor Int.MAX_VALUE else bits).inv()
    }

    private fun IntArray.sumInOrder(weights: DoubleArray): Double {
        var sum = 0.0
        for (id in this) sum += weights[id]
        return sum
    }

    private companion object {
        /** Tokens less likely than that beside the likeliest one are never drawn: 2^-40. */
        const val LEAST_WEIGHT = 1.0 / (1L shl 40)
    }
}

/**
 * e to the power of [value], at most 0, by sums and products alone: the functions of two libraries may differ in the last
 * bit, and then one seed would give two texts.
 */
internal fun exponential(value: Double): Double {
    val bounded = maxOf(value, LEAST_EXPONENT)
    val power = floor(bounded * INVERSE_LN2 + 0.5)
    val rest = (bounded - power * LN2_HIGH) - power * LN2_LOW
    var result = 1.0
    for (term in TERMS downTo 1) result = 1.0 + rest * result / term
    return Math.scalb(result, power.toInt())
}

private const val LN2_HIGH = 6.93147180369123816490e-01
private const val LN2_LOW = 1.90821492927058770002e-10
private const val INVERSE_LN2 = 1.44269504088896338700
private const val TERMS = 13
private const val LEAST_EXPONENT = -700.0
