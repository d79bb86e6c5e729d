package dev.kerasfarm.generation.engine

/** One run of a signature: [count] tokens through the one that takes [length]; `length == 1` is `decode`. */
data class PrefillStep(val length: Int, val count: Int)

/**
 * How a prompt of [count] tokens gets into the cache from place [position] on.
 *
 * The longest signature that the rest fills, again and again; then the shortest, padded, where its padding still
 * fits into [context] (the cache would be overwritten from its end otherwise); else one token at a time.
 */
fun planPrefill(count: Int, lengths: List<Int>, position: Int, context: Int): List<PrefillStep> {
    val steps = ArrayList<PrefillStep>()
    var done = 0
    while (done < count) {
        val rest = count - done
        val filled = lengths.filter { it <= rest }.maxOrNull()
        val padded = lengths.minOrNull()?.takeIf { position + done + it <= context }
        val step = when {
            filled != null -> PrefillStep(filled, filled)
            padded != null -> PrefillStep(padded, rest)
            else -> PrefillStep(1, 1)
        }
        steps.add(step)
        done += step.count
    }
    return steps
}
