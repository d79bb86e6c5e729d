package dev.kerasfarm.generation.decoding

/** Chooses the next token from the logits of the whole vocabulary. */
internal fun interface Sampler {
    /** The chosen token's id. */
    fun choose(logits: FloatArray): Int
}

/** Always the most likely token; of equal ones the first. */
internal object GreedySampler : Sampler {
    override fun choose(logits: FloatArray): Int {
        var best = 0
        for (id in 1 until logits.size) if (logits[id] > logits[best]) best = id
        return best
    }
}
