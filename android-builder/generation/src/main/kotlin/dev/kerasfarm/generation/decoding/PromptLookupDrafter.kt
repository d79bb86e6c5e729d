package dev.kerasfarm.generation.decoding

/**
 * Drafts what a text goes on with, from the text itself: what stood behind its last two tokens when they came before,
 * or else behind the last one.
 *
 * A run that reads several tokens takes little longer than one that reads a single one, so that drafts which hold
 * cost nothing. Whether they are worth it the text says too: at each token it is known whether the draft would have
 * held, given or not. [tokens] is the text so far.
 */
class PromptLookupDrafter(tokens: IntArray) {
    private val known = ArrayList<Int>()
    private val pairs = Kind()
    private val singles = Kind()
    private var match: Int? = null
    private var kind = pairs

    init {
        for (token in tokens) append(token)
    }

    /** The text goes on with [token]. */
    fun append(token: Int) {
        match?.let { kind.count(known[it] == token) }
        known.add(token)
        val alone = singles.behind.put(token.toLong(), known.size)
        val pair = if (known.size > 1) pairs.behind.put(pair(known[known.size - 2], token), known.size) else null
        match = pair ?: alone
        kind = if (pair != null) pairs else singles
    }

    /** At most [most] tokens that may come next; none where nothing speaks for any. */
    fun draft(most: Int): IntArray {
        val from = match
        if (from == null || kind.held < LEAST_SHARE || most < 1) return IntArray(0)
        // What repeats itself up to the text's end will go on repeating itself.
        return IntArray(most) { known[from + it % (known.size - from)] }
    }

    private fun pair(first: Int, second: Int): Long = first.toLong().shl(Int.SIZE_BITS) or second.toLong()

    /** Drafts by so many last tokens: the place behind their latest occurrence, and the share that [held]. */
    private class Kind {
        val behind = HashMap<Long, Int>()
        var held = FIRST_SHARE
            private set

        fun count(right: Boolean) {
            held += WEIGHT * ((if (right) 1.0 else 0.0) - held)
        }
    }

    private companion object {
        /** What is taken for true at first. */
        const val FIRST_SHARE = 0.3

        /** A run with drafts takes 1.3 times as long as one without, so that fewer are not worth it. */
        const val LEAST_SHARE = 0.25

        /** How much the latest draft weighs. */
        const val WEIGHT = 0.1
    }
}
