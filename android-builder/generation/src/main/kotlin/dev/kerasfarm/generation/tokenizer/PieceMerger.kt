package dev.kerasfarm.generation.tokenizer

/**
 * Merges the byte tokens of one piece, the lowest rank first and, among equal ranks, the leftmost.
 *
 * The tokens form a linked list and the pairs wait in a heap, so a piece of n bytes costs n log n.
 */
internal class PieceMerger(private val merges: MergeTable) {
    /** Merges `tokens[0 until count]` in place and returns how many are left. */
    fun merge(tokens: IntArray, count: Int): Int {
        if (count < 2) return count
        val next = IntArray(count) { it + 1 }
        val previous = IntArray(count) { it - 1 }
        val waiting = LongHeap(count)
        for (position in 0 until count - 1) offer(waiting, tokens, position, position + 1)
        while (waiting.size > 0) {
            val entry = waiting.pop()
            val position = entry.toInt()
            val result = merges.result((entry ushr 32).toInt())
            if (tokens[position] == GONE || next[position] == count) continue
            val right = next[position]
            // The pair may have changed since it was queued; it still counts when it becomes the same token.
            val rank = merges.rank(tokens[position], tokens[right])
            if (rank < 0 || merges.result(rank) != result) continue
            tokens[position] = result
            tokens[right] = GONE
            next[position] = next[right]
            if (next[position] < count) {
                previous[next[position]] = position
                offer(waiting, tokens, position, next[position])
            }
            if (previous[position] >= 0) offer(waiting, tokens, previous[position], position)
        }
        return compact(tokens, next, count)
    }

    private fun offer(waiting: LongHeap, tokens: IntArray, left: Int, right: Int) {
        val rank = merges.rank(tokens[left], tokens[right])
        if (rank >= 0) waiting.push(rank.toLong() shl 32 or left.toLong())
    }

    private fun compact(tokens: IntArray, next: IntArray, count: Int): Int {
        var kept = 0
        var position = 0
        while (position < count) {
            tokens[kept++] = tokens[position]
            position = next[position]
        }
        return kept
    }

    private companion object {
        const val GONE = -1
    }
}
