package dev.kerasfarm.generation.engine

/** A cache begins with so many rows, one for a token, and doubles whenever a text has outgrown it. */
internal const val FIRST_ROWS = 256

/** A prompt is read in calls of so many tokens at most; between two of them it can be stopped. */
internal const val CHUNK = 128

/** One token that is sure and the drafts behind it: for more, XNNPACK's kernels for phones read all weights again. */
internal const val SCORED = 4

/** How many rows a cache has for a text of [needed] tokens, where [limit] is the longest one. */
internal fun rowsFor(needed: Int, limit: Int): Int {
    var rows = FIRST_ROWS
    while (rows < needed) rows *= 2
    return minOf(rows, limit)
}

/** The rows of a full ring: what a [window] sees, and what a call writes before its first token looks back. */
internal fun ringSize(window: Int): Int = window + CHUNK

/**
 * The rows of a cache whose layers see [window] tokens, beside caches of [rows]: a ring, in which the token at position
 * q stands in row `q % ringRows`.
 */
internal fun ringRows(rows: Int, window: Int): Int = minOf(rows, ringSize(window))

/** How many tokens a call at [position] can take at most: no call goes on behind the end of a ring. */
internal fun longestCall(position: Int, windows: Collection<Int>): Int =
    minOf(CHUNK, windows.minOfOrNull { ringSize(it) - position % ringSize(it) } ?: CHUNK)

/**
 * Whether a text of which [written] tokens were read may go on behind its first [position] ones, in caches of [rows]:
 * a ring has lost what its later rows have overwritten.
 */
internal fun keeps(position: Int, written: Int, rows: Int, windows: Collection<Int>): Boolean =
    position == 0 || (position <= written && windows.all { keepsIn(ringRows(rows, it), it, position, written) })

private fun keepsIn(ring: Int, window: Int, position: Int, written: Int): Boolean =
    written <= ring || written - position <= ring - window

/**
 * Whether a token sees [row] of a cache of [rows], in a call whose last token is [last]; in a ring, with a [window], the
 * row holds the latest token that was written to it.
 */
internal fun sees(token: Int, row: Int, last: Int, rows: Int, window: Int?): Boolean {
    if (window == null) return row <= token
    val held = last - Math.floorMod(last - row, rows)
    return held in 0..token && token - held < window
}
