package dev.kerasfarm.app.chat

import dev.kerasfarm.generation.chat.SavedConversation

/** What a conversation can be exported as, and imported from; [suffix] ends the file's name. */
enum class ExportFormat(val type: String, val suffix: String) {
    /** The file that `farm chat` reads too. */
    JSON("application/json", ".json"),

    /** A text to read. */
    MARKDOWN("text/markdown", ".md"),
    ;

    /** The file's text. */
    fun text(conversation: SavedConversation): String =
        if (this == JSON) conversation.toJson() else conversation.toMarkdown()
}
