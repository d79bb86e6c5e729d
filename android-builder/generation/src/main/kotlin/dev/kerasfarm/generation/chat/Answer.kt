package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.EndReason

/**
 * What [Conversation] wrote.
 *
 * @property turn the question with its answer.
 * @property tokens how many tokens were written, thoughts among them.
 * @property reason why the answer ended.
 * @property tokensPerSecond how fast it was written, the reading left out.
 * @property readTokens how many tokens were read for it: those that the model did not have in its cache.
 * @property contextTokens how many tokens of the model's context the conversation takes now.
 */
class Answer internal constructor(
    val turn: Turn,
    val tokens: Int,
    val reason: EndReason,
    val tokensPerSecond: Double,
    val readTokens: Int,
    val contextTokens: Int,
)
