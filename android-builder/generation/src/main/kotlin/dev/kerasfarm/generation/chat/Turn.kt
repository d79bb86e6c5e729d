package dev.kerasfarm.generation.chat

/**
 * A question and its answer.
 *
 * @property answer null while none was written: the question waits, or its writing was broken off by the process's end.
 * @property thought what the model thought before it answered; it is never read again.
 * @property model who answered; null: the model of the conversation.
 */
data class Turn @JvmOverloads constructor(
    val question: String,
    val answer: String? = null,
    val thought: String? = null,
    val model: String? = null,
)
