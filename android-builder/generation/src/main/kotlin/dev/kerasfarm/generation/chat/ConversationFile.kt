package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.tokenizer.replaceLoneSurrogates

/** What the two forms of a conversation's file share. */
internal object ConversationFile {
    const val FORMAT = "keras-android-farm/conversation"
    const val VERSION = 1
    private const val LONGEST_NAME = 200

    fun otherVersion(version: String) =
        ConversationRefused("The file has the version $version of the format; this app reads $VERSION.")

    fun tooManyTurns(count: String) =
        ConversationRefused("The file has $count turns; a conversation has at most ${SavedConversation.MOST_TURNS}.")

    /** A name as it stands on one line, without control characters. */
    fun oneLine(name: String): String =
        replaceLoneSurrogates(name.take(LONGEST_NAME)).replace(Regex("[\\p{Cntrl}\\s]+"), " ").trim()
}
