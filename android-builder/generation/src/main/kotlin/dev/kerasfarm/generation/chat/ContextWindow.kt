package dev.kerasfarm.generation.chat

/** What a model reads of a conversation: the tokens [ids] of all turns but the first [dropped]. */
internal class ContextWindow(val dropped: Int, val ids: IntArray)

/**
 * The window with the most of [turns] turns whose tokens are at most [room]; with the last turn alone where not even
 * that fits. [window] makes the one without so many first turns, of which few are tried: each has to be tokenized.
 */
internal fun fitTurns(turns: Int, room: Int, window: (Int) -> ContextWindow): ContextWindow {
    var best = window(maxOf(turns - 1, 0))
    if (best.ids.size > room) return best
    // Twice as many turns each time, until they do not fit; then halves.
    var tooMany = -1
    while (best.dropped > 0) {
        val wider = window(maxOf(0, turns - 2 * (turns - best.dropped)))
        if (wider.ids.size > room) {
            tooMany = wider.dropped
            break
        }
        best = wider
    }
    while (tooMany >= 0 && best.dropped - tooMany > 1) {
        val between = window((best.dropped + tooMany) / 2)
        if (between.ids.size > room) tooMany = between.dropped else best = between
    }
    return best
}
