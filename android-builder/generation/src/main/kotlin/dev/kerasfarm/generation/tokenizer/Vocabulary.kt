package dev.kerasfarm.generation.tokenizer

/**
 * What each token is written as, in UTF-8: the one with the id i ends at `ends[i]` in [bytes], and an id without a token
 * has no bytes.
 */
class Vocabulary internal constructor(private val bytes: ByteArray, private val ends: IntArray) {
    private val table: IntArray by lazy(LazyThreadSafetyMode.NONE) { hashed() }

    /** One more than the largest id. */
    val size: Int get() = ends.size

    /** What a token is written as; null for an id without a token. */
    fun piece(id: Int): String? {
        if (id !in ends.indices) return null
        val start = start(id)
        return if (ends[id] == start) null else String(bytes, start, ends[id] - start, Charsets.UTF_8)
    }

    /** The id of the token that is written as `piece[0 until length]`, or -1. */
    fun find(piece: ByteArray, length: Int = piece.size): Int {
        if (length == 0) return MISSING
        var slot = slot(piece, 0, length)
        while (table[slot] != MISSING) {
            if (equal(table[slot], piece, length)) return table[slot]
            slot = (slot + 1) and (table.size - 1)
        }
        return MISSING
    }

    /** The same for text. */
    fun find(piece: String): Int = find(piece.toByteArray())

    private fun start(id: Int): Int = if (id == 0) 0 else ends[id - 1]

    private fun hashed(): IntArray {
        val slots = IntArray(Integer.highestOneBit(maxOf(size, 4)) * 4).also { it.fill(MISSING) }
        for (id in ends.indices) {
            if (ends[id] == start(id)) continue
            var slot = slot(bytes, start(id), ends[id], slots.size)
            while (slots[slot] != MISSING) slot = (slot + 1) and (slots.size - 1)
            slots[slot] = id
        }
        return slots
    }

    private fun slot(source: ByteArray, start: Int, end: Int, slots: Int = table.size): Int {
        var hash = 0
        for (position in start until end) hash = 31 * hash + source[position]
        return (hash * -0x61c88647 ushr 8) and (slots - 1)
    }

    private fun equal(id: Int, piece: ByteArray, length: Int): Boolean {
        val start = start(id)
        if (ends[id] - start != length) return false
        for (offset in 0 until length) if (bytes[start + offset] != piece[offset]) return false
        return true
    }

    companion object {
        internal const val MISSING = -1

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
            return Vocabulary(bytes, ends)
        }
    }
}
