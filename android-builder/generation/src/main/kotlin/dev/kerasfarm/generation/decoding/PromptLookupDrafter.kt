package dev.kerasfarm.generation.decoding

/**
 * Drafts what a text goes on with, from the text itself: what stood behind its last three tokens when they came before,
 * or else behind the last two (speculative decoding by prompt lookup).
 *
 * A run that reads several tokens takes little longer than one that reads a single one, so that drafts which hold cost
 * nothing. Whether drafts are worth their cost is learnt while the text is written: at each token it is known whether a
 * draft would have held, given or not; and what drafts saved is kept against what they cost, so that they never take
 * more than 2 % of a text's time. [prompt] is the text so far.
 *
 * `pipeline/inference/drafting.py` gives the same drafts; a test holds both to the same ones.
 */
internal class PromptLookupDrafter(prompt: IntArray) {
    private val known = ArrayList<Int>()
    private val triples = Kind()
    private val pairs = Kind()
    private var match: Int? = null
    private var kind = triples

    /** The latest draft, and how much of it has held; it is over where [held] is its size. */
    private var given = IntArray(0)
    private var held = 0

    /** Whether the latest run had drafts. */
    private var drafting = false

    /** What drafts saved beyond their cost, in runs. */
    private var won = 0.0

    private val promptSize = prompt.size

    init {
        for (token in prompt) append(token)
    }

    /** The text goes on with [token]. */
    fun append(token: Int) {
        if (held < given.size && given[held] == token) {
            won += 1.0
            held++
        } else {
            held = given.size
        }
        match?.let { kind.count(known[it] == token) }
        known.add(token)
        val size = known.size
        val triple = if (size > 2) triples.behind.put(Triple(known[size - 3], known[size - 2], token), size) else null
        val pair = if (size > 1) pairs.behind.put(Pair(known[size - 2], token), size) else null
        match = triple ?: pair
        kind = if (triple != null) triples else pairs
    }

    /**
     * At most [most] tokens that may come next, for a run that reads them; none where they are not worth it. To be asked
     * once for each run.
     */
    fun draft(most: Int): IntArray {
        val from = match
        val cost = if (drafting) COST else COST + CHANGE
        val affordable = won - cost >= -LOSS * maxOf(known.size - promptSize, SHORTEST)
        drafting = most > 0 && affordable && from != null && kind.share >= LEAST_SHARE
        if (!drafting || from == null) return IntArray(0)
        // What repeats itself up to the text's end will go on repeating itself.
        given = IntArray(most) { known[from + it % (known.size - from)] }
        held = 0
        won -= cost
        return given
    }

    /** Drafts by so many last tokens: the place [behind] their latest occurrence, and the [share] that held. */
    private class Kind {
        val behind = HashMap<Any, Int>()
        var share = FIRST_SHARE
            private set

        fun count(right: Boolean) {
            share += WEIGHT * ((if (right) 1.0 else 0.0) - share)
        }
    }

    private companion object {
        /** What a run with drafts takes beyond one without, in runs without. */
        const val COST = 0.15

        /** What it takes to go from runs of one length to those of another and back. */
        const val CHANGE = 0.35

        /** What is taken for the share at first. */
        const val FIRST_SHARE = 0.4

        /** The least share that is worth a run; a draft whose first token holds saves more than one run on average. */
        const val LEAST_SHARE = 0.2

        /** How much the latest draft weighs in the share. */
        const val WEIGHT = 0.1

        /** At most this share of a text's runs may be lost to drafts that fail. */
        const val LOSS = 0.02

        /** A text counts as this long at least, else there would be no first draft. */
        const val SHORTEST = 25
    }
}
