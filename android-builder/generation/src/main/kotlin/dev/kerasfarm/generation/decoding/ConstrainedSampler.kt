package dev.kerasfarm.generation.decoding

/**
 * Keeps [notFirst] out of the first place and [stopTokens] out of the first [least] ones, and asks [next] for the rest.
 */
internal class ConstrainedSampler(
    private val notFirst: Set<Int>,
    private val stopTokens: Set<Int>,
    private val least: Int,
    private val next: Sampler,
) : Sampler {
    private var count = 0

    override fun choose(logits: FloatArray): Int {
        if (count == 0) forbid(notFirst, logits)
        if (count < least) forbid(stopTokens, logits)
        count++
        return next.choose(logits)
    }

    private fun forbid(tokens: Set<Int>, logits: FloatArray) {
        for (id in tokens) logits[id] = Float.NEGATIVE_INFINITY
    }
}
