package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.tokenizer.replaceLoneSurrogates
import java.io.ByteArrayOutputStream
import java.io.IOException
import java.io.InputStream

/** Which model: its [name], and the [sha256] of its file where that is known. */
data class ModelName(val name: String, val sha256: String? = null)

/**
 * A conversation as it is kept: the same file in the app, in this library and in `farm chat`.
 *
 * @property created when it began, as ISO 8601.
 * @property model which model answered, unless a turn says otherwise.
 */
data class SavedConversation @JvmOverloads constructor(
    val title: String? = null,
    val created: String? = null,
    val model: ModelName? = null,
    val system: String? = null,
    val thinking: Boolean = false,
    val turns: List<Turn> = emptyList(),
) {
    /** The file's text. */
    fun toJson(): String = ConversationJson.write(this)

    /** The file as a text to read, without thoughts; [parse] takes it as well. */
    fun toMarkdown(): String = ConversationMarkdown.write(this)

    companion object {
        /** No file has more bytes. */
        const val MOST_BYTES = 16 shl 20

        /** No conversation has more turns. */
        const val MOST_TURNS = 10_000

        /** No turn has more characters, nor a system text: a database of the platform gives back no longer ones. */
        const val MOST_CHARACTERS = 500_000

        /**
         * Reads a file to its end, or to where no conversation is so long, and closes it.
         *
         * @throws ConversationRefused with a sentence. @throws IOException when it cannot be read.
         */
        @JvmStatic
        @Throws(ConversationRefused::class, IOException::class)
        fun read(file: InputStream): SavedConversation {
            val content = ByteArrayOutputStream()
            file.use {
                val buffer = ByteArray(1 shl 16)
                while (content.size() <= MOST_BYTES) {
                    val count = it.read(buffer)
                    if (count < 0) break
                    content.write(buffer, 0, count)
                }
            }
            if (content.size() > MOST_BYTES) throw tooLarge()
            return parse(content.toString("UTF-8"))
        }

        /**
         * Reads a file's text, which is JSON as [toJson] gives it or Markdown as [toMarkdown] does. Unknown keys are
         * passed over.
         *
         * @throws ConversationRefused with a sentence.
         */
        @JvmStatic
        @Throws(ConversationRefused::class)
        fun parse(text: String): SavedConversation {
            if (text.length > MOST_BYTES) throw tooLarge()
            val plain = text.removePrefix("\uFEFF")
            val read = if (ConversationMarkdown.begins(
                    plain,
                )
            ) {
                ConversationMarkdown.read(plain)
            } else {
                ConversationJson.read(plain)
            }
            return checked(read)
        }

        private fun tooLarge() = ConversationRefused("The file is larger than 16 MiB.")

        private fun checked(read: SavedConversation): SavedConversation {
            val open = read.turns.dropLast(1).indexOfFirst { it.answer == null }
            if (open >= 0) {
                throw ConversationRefused("Turn ${open + 1} of the file has no answer; only the last may lack one.")
            }
            val long = read.turns.indexOfFirst {
                it.question.length + it.answer.orEmpty().length + it.thought.orEmpty().length > MOST_CHARACTERS
            }
            if (long >= 0) {
                throw ConversationRefused("Turn ${long + 1} of the file has more than $MOST_CHARACTERS characters.")
            }
            if (read.system.orEmpty().length > MOST_CHARACTERS) {
                throw ConversationRefused("The file's system text has more than $MOST_CHARACTERS characters.")
            }
            return read.copy(
                title = read.title?.let { ConversationFile.oneLine(it) },
                created = read.created?.let { ConversationFile.oneLine(it) },
                model = read.model?.let {
                    ModelName(ConversationFile.oneLine(it.name), it.sha256?.let { hash -> ConversationFile.oneLine(hash) })
                },
                system = read.system?.let { clean(it) },
                turns = read.turns.map { turn ->
                    Turn(
                        clean(turn.question),
                        turn.answer?.let { clean(it) },
                        turn.thought?.let { clean(it) },
                        turn.model?.let { ConversationFile.oneLine(it) },
                    )
                },
            )
        }

        private fun clean(text: String): String = replaceLoneSurrogates(text)
    }
}
