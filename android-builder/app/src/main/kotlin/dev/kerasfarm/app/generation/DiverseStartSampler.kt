package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.decoding.Sampler

/**
 * Begins a text with none of the tokens in [beginnings], so that it differs from the texts that began with them, and
 * then asks [next] alone. Where there was a text before, none at all is no other one.
 */
class DiverseStartSampler(
    private val beginnings: Set<Int>,
    private val stopTokens: Set<Int>,
    private val next: Sampler,
) : Sampler {
    private var begun = false

    override fun choose(logits: FloatArray): Int {
        if (!begun && beginnings.isNotEmpty()) {
            for (id in beginnings + stopTokens) logits[id] = Float.NEGATIVE_INFINITY
        }
        begun = true
        return next.choose(logits)
    }
}
