package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.EndReason

/**
 * What a user should know of a text that ended for [reason] with [written] tokens; prompt and text, or the whole
 * conversation, have [taken] tokens.
 */
internal fun noticeOf(reason: EndReason, written: Int, taken: Int): Notice? = when {
    reason == EndReason.CONTEXT_FULL -> Notice.ContextFull
    reason == EndReason.MEMORY_FULL -> Notice.MemoryFull(taken)
    reason == EndReason.END_OF_TEXT && written == 0 -> Notice.NothingToSay
    else -> null
}
