package dev.kerasfarm.generation.tokenizer

/**
 * Which pairs of tokens merge, how early, and into what. The pairs lie sorted by their left token, and those of one left
 * token by their right one: those of the token i from `starts[i]` until `starts[i + 1]`. So a large table is ready as it
 * was read, and needs no hashing.
 *
 * [rights] and [ranks] are in that order, [results] are token ids by rank; the lower the rank, the earlier a pair merges.
 */
class MergeTable internal constructor(
    private val starts: IntArray,
    private val rights: IntArray,
    private val ranks: IntArray,
    private val results: IntArray,
) {
    /** The rank of a pair, or -1 when it does not merge. */
    fun rank(left: Int, right: Int): Int {
        if (left < 0 || left >= starts.size - 1) return -1
        var low = starts[left]
        var high = starts[left + 1]
        // Of a pair that stands there twice the last one counts.
        while (low < high) {
            val middle = (low + high) ushr 1
            if (rights[middle] <= right) low = middle + 1 else high = middle
        }
        return if (low > starts[left] && rights[low - 1] == right) ranks[low - 1] else -1
    }

    /** The token that the pair of that rank becomes. */
    fun result(rank: Int): Int = results[rank]

    companion object {
        /** The table of pairs by rank. */
        fun of(lefts: IntArray, rights: IntArray, results: IntArray): MergeTable {
            val starts = IntArray((lefts.maxOrNull() ?: -1) + 2)
            for (left in lefts) starts[left + 1]++
            for (left in 1 until starts.size) starts[left] += starts[left - 1]
            val pairs = LongArray(lefts.size)
            val filled = starts.copyOf()
            for ((rank, left) in lefts.withIndex()) pairs[filled[left]++] = rights[rank].toLong() shl 32 or rank.toLong()
            for (left in 0 until starts.size - 1) pairs.sort(starts[left], starts[left + 1])
            val sortedRights = IntArray(pairs.size) { (pairs[it] ushr 32).toInt() }
            return MergeTable(starts, sortedRights, IntArray(pairs.size) { pairs[it].toInt() }, results)
        }
    }
}
