package dev.kerasfarm.generation.engine

/** One run of a signature: [count] tokens through the one that takes [length]; `length == 1` is `decode`. */
internal data class PrefillStep(val length: Int, val count: Int)

/** What a run costs beside its tokens' arithmetic, in tokens: it reads all weights once. */
private const val RUN_COST = 12

/**
 * How a prompt of [count] tokens gets into the cache from place [position] on.
 *
 * The longest signature as often as it is filled, then the runs that cost least; the last one is padded where that is
 * cheaper than more runs and its padding still fits into [context] (the cache would be overwritten from its end
 * otherwise).
 */
internal fun planPrefill(count: Int, lengths: List<Int>, position: Int, context: Int): List<PrefillStep> {
    val longest = lengths.maxOrNull() ?: 1
    val rest = count % longest
    return List(count / longest) { PrefillStep(longest, longest) } +
        cheapest(rest, lengths, position + count - rest, context)
}

/** The runs for a rest shorter than the longest signature: what is best for the last n tokens, for n from 1 on. */
private fun cheapest(count: Int, lengths: List<Int>, position: Int, context: Int): List<PrefillStep> {
    val costs = IntArray(count + 1)
    val steps = Array(count + 1) { PrefillStep(1, 0) }
    for (left in 1..count) {
        costs[left] = Int.MAX_VALUE
        for (length in lengths.filter { position + count - left + it <= context }.sortedDescending() + 1) {
            val cost = RUN_COST + length + costs[maxOf(0, left - length)]
            if (cost >= costs[left]) continue
            costs[left] = cost
            steps[left] = PrefillStep(length, minOf(length, left))
        }
    }
    val plan = ArrayList<PrefillStep>()
    var left = count
    while (left > 0) {
        plan.add(steps[left])
        left -= steps[left].count
    }
    return plan
}
