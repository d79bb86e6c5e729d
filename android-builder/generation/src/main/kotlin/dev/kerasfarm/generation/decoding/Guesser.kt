package dev.kerasfarm.generation.decoding

/**
 * Guesses what a text goes on with, from the text itself: what stood behind its last two tokens when they came before.
 *
 * A run that reads several tokens takes little longer than one that reads a single one, so that guesses which hold
 * cost nothing. [tokens] is the text so far.
 */
class Guesser(tokens: IntArray) {
    private val known = ArrayList<Int>()
    private val behind = HashMap<Long, Int>() // the place behind the latest such pair
    private var match: Int? = null
    private var pause = FIRST_PAUSE
    private var waiting = 0

    init {
        for (token in tokens) append(token)
    }

    /** The text goes on with [token]. */
    fun append(token: Int) {
        known.add(token)
        if (waiting > 0) waiting--
        if (known.size > 1) match = behind.put(pair(known[known.size - 2], token), known.size)
    }

    /** At most [most] tokens that may come next; none where nothing speaks for any. */
    fun guess(most: Int): IntArray {
        val from = match
        if (from == null || waiting > 0 || most < 1) return IntArray(0)
        // What repeats itself up to the text's end will go on repeating itself.
        return IntArray(most) { known[from + it % (known.size - from)] }
    }

    /** Of the last [guessed] tokens [held] turned out to be right; wrong guesses are followed by a pause. */
    fun judge(guessed: Int, held: Int) {
        if (held > 0) {
            pause = FIRST_PAUSE
        } else if (guessed > 0) {
            waiting = pause
            pause = minOf(2 * pause, LONGEST_PAUSE)
        }
    }

    private fun pair(first: Int, second: Int): Long = first.toLong().shl(Int.SIZE_BITS) or second.toLong()

    private companion object {
        /** For so many tokens nothing is guessed after a run none of whose guesses held. */
        const val FIRST_PAUSE = 2
        const val LONGEST_PAUSE = 32
    }
}
