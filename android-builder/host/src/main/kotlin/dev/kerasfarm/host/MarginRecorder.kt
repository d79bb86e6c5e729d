package dev.kerasfarm.host

import dev.kerasfarm.generation.decoding.GreedySampler
import dev.kerasfarm.generation.decoding.Sampler

/**
 * Greedy, and notes at every step by how much the best logit leads the second.
 *
 * Where the lead is next to nothing, another order of the same additions may choose another token.
 */
class MarginRecorder : Sampler {
    /** One lead for each chosen token, the end token's included. */
    val margins = ArrayList<Double>()

    override fun choose(logits: FloatArray): Int {
        val best = GreedySampler.choose(logits)
        var second = Float.NEGATIVE_INFINITY
        for (id in logits.indices) if (id != best && logits[id] > second) second = logits[id]
        margins.add((logits[best] - second).toDouble())
        return best
    }
}
