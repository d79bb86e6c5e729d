package dev.kerasfarm.generation.tokenizer

/**
 * Which pairs of tokens merge, how early, and into what: a hash table with open addressing over primitive arrays.
 *
 * [lefts], [rights] and [results] are token ids by rank; the lower the rank, the earlier a pair merges.
 */
class MergeTable(lefts: IntArray, rights: IntArray, private val results: IntArray) {
    private val mask = Integer.highestOneBit(maxOf(results.size, 4)) * 4 - 1
    private val keys = LongArray(mask + 1).also { it.fill(FREE) }
    private val ranks = IntArray(mask + 1)

    init {
        for (rank in results.indices) {
            val key = key(lefts[rank], rights[rank])
            val slot = slot(key)
            keys[slot] = key
            ranks[slot] = rank
        }
    }

    /** The rank of a pair, or -1 when it does not merge. */
    fun rank(left: Int, right: Int): Int {
        val slot = slot(key(left, right))
        return if (keys[slot] == FREE) -1 else ranks[slot]
    }

    /** The token that the pair of that rank becomes. */
    fun result(rank: Int): Int = results[rank]

    private fun key(left: Int, right: Int): Long = left.toLong() shl 32 or right.toLong()

    private fun slot(key: Long): Int {
        val mixed = key * -0x61c8864680b583ebL
        var slot = (mixed ushr 32).toInt() and mask
        while (keys[slot] != FREE && keys[slot] != key) slot = (slot + 1) and mask
        return slot
    }

    private companion object {
        const val FREE = -1L
    }
}
