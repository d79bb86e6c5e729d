package dev.kerasfarm.app.chat

import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.chat.Turn

/**
 * The conversation on the screen: [id] is its number in the store, null while nothing was said.
 *
 * The model does not read the first [dropped] of [turns]. [read] of [total] tokens are read where it reads the
 * conversation again after the process ended; [total] is 0 otherwise. [contextTokens] is what the conversation takes of the
 * model's context. [ended]: why the last answer ended; null while none did. [loaded]: whether the store was asked.
 */
data class ChatState(
    val id: Long? = null,
    val title: String = "",
    val turns: List<Turn> = emptyList(),
    val dropped: Int = 0,
    val read: Int = 0,
    val total: Int = 0,
    val contextTokens: Int = 0,
    val ended: EndReason? = null,
    val loaded: Boolean = false,
) {
    /** Whether the last answer can be taken back, because it has a word that the app does not show. */
    val unsuitable: Boolean get() = ended == EndReason.UNSUITABLE
}
