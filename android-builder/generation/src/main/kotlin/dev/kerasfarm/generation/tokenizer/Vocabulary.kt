package dev.kerasfarm.generation.tokenizer

import java.util.zip.CRC32

/**
 * What each token is written as, in UTF-8: the one with the id i ends at `ends[i]` in [bytes], and an id without a token
 * has no bytes. [slots] is a hash table of ids with open addressing: a token lies at its CRC-32, or behind it.
 */
class Vocabulary internal constructor(
    private val bytes: ByteArray,
    private val ends: IntArray,
    private val slots: IntArray,
) {
    /** One more than the largest id. */
    val size: Int get() = ends.size

    /** What a token is written as; null for an id without a token. */
    fun piece(id: Int): String? {
        if (id !in ends.indices) return null
        val start = start(ends, id)
        return if (ends[id] == start) null else String(bytes, start, ends[id] - start, Charsets.UTF_8)
    }

    /** The id of the token that is written as `piece[0 until length]`, or -1. */
    fun find(piece: ByteArray, length: Int = piece.size): Int {
        if (length == 0) return MISSING
        var slot = hash(piece, 0, length) and (slots.size - 1)
        while (slots[slot] != MISSING) {
            if (equal(slots[slot], piece, length)) return slots[slot]
            slot = (slot + 1) and (slots.size - 1)
        }
        return MISSING
    }

    /** The same for text. */
    fun find(piece: String): Int = find(piece.toByteArray())

    private fun equal(id: Int, piece: ByteArray, length: Int): Boolean {
        val start = start(ends, id)
        if (ends[id] - start != length) return false
        for (offset in 0 until length) if (bytes[start + offset] != piece[offset]) return false
        return true
    }

    companion object {
        internal const val MISSING = -1

        /** How many slots a vocabulary of so many ids has: a power of two, at least twice as many. */
        internal fun slotsOf(ids: Int): Int = Integer.highestOneBit(maxOf(2 * ids - 1, 1)) * 2

        /** The vocabulary of tokens by id; null for an id without a token. */
        internal fun of(tokens: Array<String?>): Vocabulary {
            val encoded = Array(tokens.size) { tokens[it]?.toByteArray() }
            val ends = IntArray(tokens.size)
            val bytes = ByteArray(encoded.sumOf { it?.size ?: 0 })
            var end = 0
            for ((id, piece) in encoded.withIndex()) {
                piece?.copyInto(bytes, end)
                end += piece?.size ?: 0
                ends[id] = end
            }
            return Vocabulary(bytes, ends, hashed(bytes, ends))
        }

        private fun hashed(bytes: ByteArray, ends: IntArray): IntArray {
            val slots = IntArray(slotsOf(ends.size)).also { it.fill(MISSING) }
            for (id in ends.indices) {
                val start = start(ends, id)
                if (ends[id] == start) continue
                var slot = hash(bytes, start, ends[id] - start) and (slots.size - 1)
                while (slots[slot] != MISSING) slot = (slot + 1) and (slots.size - 1)
                slots[slot] = id
            }
            return slots
        }

        private fun start(ends: IntArray, id: Int): Int = if (id == 0) 0 else ends[id - 1]

        private fun hash(source: ByteArray, start: Int, length: Int): Int =
            CRC32().apply { update(source, start, length) }.value.toInt()
    }
}
