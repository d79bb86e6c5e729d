package dev.kerasfarm.app.chat

import dev.kerasfarm.generation.chat.SavedConversation
import java.io.IOException
import java.io.InputStream

/** What a conversation can be exported as; [suffix] ends the file's name. */
enum class ExportFormat(val type: String, val suffix: String) {
    /** The file that can be imported again, here and by `farm chat`. */
    JSON("application/json", ".json"),

    /** A text to read. */
    MARKDOWN("text/markdown", ".md"),
    ;

    /** The file's text. */
    fun text(conversation: SavedConversation): String =
        if (this == JSON) conversation.toJson() else markdown(conversation)
}

/** A conversation as a text to read: its questions as quotes, and the answers as they are. */
private fun markdown(conversation: SavedConversation): String {
    val parts = ArrayList<String>()
    conversation.title?.let { parts.add("# $it") }
    listOfNotNull(conversation.model?.name, conversation.created).takeIf { it.isNotEmpty() }
        ?.let { parts.add("*" + it.joinToString(", ") + "*") }
    conversation.system?.let { parts.add("> " + it.trim().replace("\n", "\n> ")) }
    for (turn in conversation.turns) {
        parts.add("**" + turn.question.trim().replace("\n", "**\n**") + "**")
        turn.answer?.let { parts.add(it.trim()) }
        turn.model?.let { parts.add("*$it*") }
    }
    return parts.joinToString("\n\n") + "\n"
}

/** The text of a file that is to be imported. */
object ImportedText {
    /** Reads [stream] to its end, or to where no conversation is so long; IOException. */
    fun read(stream: InputStream?): String {
        if (stream == null) throw IOException("the file cannot be opened")
        return stream.use { source ->
            val bytes = source.readNBytesUpTo(SavedConversation.MOST_BYTES + 1)
            String(bytes, Charsets.UTF_8)
        }
    }

    private fun InputStream.readNBytesUpTo(most: Int): ByteArray {
        val found = java.io.ByteArrayOutputStream()
        val buffer = ByteArray(1 shl 16)
        while (found.size() < most) {
            val count = read(buffer, 0, minOf(buffer.size, most - found.size()))
            if (count < 0) break
            found.write(buffer, 0, count)
        }
        return found.toByteArray()
    }
}
