package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.ConversationRefused

/**
 * The file of a conversation as Markdown: what a reader sees are its texts, with questions as quotes; what is what is said
 * by comments on lines of their own, which a reader does not see. The last one tells that the file is whole.
 *
 * A line of an answer that looks like such a comment begins with a backslash, as Markdown escapes a sign. Thoughts are
 * left out, and so is the hash of a model.
 */
internal object ConversationMarkdown {
    private const val FIRST = "<!-- ${ConversationFile.FORMAT}, version "
    private val MARK = Regex("(?:\\*(.*)\\* )?<!-- (model|created|thinking|system|question|answer|end) -->")
    private val ESCAPED = Regex("\\\\+" + MARK.pattern)

    /** Whether [text] begins as such a file does. */
    fun begins(text: String): Boolean = text.startsWith(FIRST)

    fun write(saved: SavedConversation): String = buildString {
        append(FIRST).append(ConversationFile.VERSION).append(" -->\n")
        saved.title?.let { append("# ").append(ConversationFile.oneLine(it)).append('\n') }
        append('\n')
        saved.model?.let { append(mark("model", ConversationFile.oneLine(it.name))).append("\n\n") }
        saved.created?.let { append(mark("created", ConversationFile.oneLine(it))).append("\n\n") }
        if (saved.thinking) append(mark("thinking")).append("\n\n")
        saved.system?.let { part(mark("system"), quoted(it)) }
        for (turn in saved.turns) {
            part(mark("question"), quoted(turn.question))
            turn.answer?.let { part(mark("answer", turn.model?.let { ConversationFile.oneLine(it) }), escaped(it)) }
        }
        append(mark("end")).append('\n')
    }

    fun read(text: String): SavedConversation {
        // An editor may have changed how lines end.
        val lines = (if (text.substringBefore('\n').endsWith('\r')) text.replace("\r\n", "\n") else text).split('\n')
        val version = lines[0].removePrefix(FIRST).removeSuffix(" -->")
        if (version != "${ConversationFile.VERSION}") throw ConversationFile.otherVersion(version.take(LONGEST_VERSION))
        val found = Parts()
        var at = 1
        while (at < lines.size) {
            val mark = MARK.matchEntire(lines[at])
            val end = (at + 1 until lines.size).firstOrNull { MARK.matches(lines[it]) } ?: lines.size
            if (mark == null) found.title(lines.subList(at, end)) else found.part(mark, lines.subList(at + 1, end))
            at = end
        }
        return found.conversation()
    }

    private class Parts {
        private var saved = SavedConversation()
        private val turns = ArrayList<Turn>()
        private var whole = false

        fun title(lines: List<String>) {
            saved = saved.copy(title = lines.firstOrNull { it.startsWith("# ") }?.removePrefix("# "))
        }

        fun part(mark: MatchResult, lines: List<String>) {
            val (name, kind) = mark.destructured
            when (kind) {
                "model" -> saved = saved.copy(model = ModelName(name))
                "created" -> saved = saved.copy(created = name)
                "thinking" -> saved = saved.copy(thinking = true)
                "system" -> saved = saved.copy(system = unquoted(inner(lines)))
                "question" -> ask(unquoted(inner(lines)))
                "answer" -> answer(inner(lines).joinToString("\n") { unescaped(it) }, name.ifEmpty { null })
                "end" -> whole = true
            }
        }

        private fun ask(question: String) {
            if (turns.size == SavedConversation.MOST_TURNS) throw ConversationFile.tooManyTurns("more than ${turns.size}")
            turns.add(Turn(question))
        }

        private fun answer(text: String, model: String?) {
            val last = turns.lastOrNull()
            if (last == null || last.answer != null) {
                throw ConversationRefused("The file is damaged: its answer ${turns.size + 1} has no question.")
            }
            turns[turns.size - 1] = last.copy(answer = text, model = model)
        }

        fun conversation(): SavedConversation {
            if (!whole) throw ConversationRefused("The file is cut: its end is missing.")
            return saved.copy(turns = turns)
        }
    }

    private fun mark(kind: String, name: String? = null): String =
        (if (name == null) "" else "*$name* ") + "<!-- $kind -->"

    private fun StringBuilder.part(mark: String, text: String) {
        append(mark).append("\n\n").append(text).append("\n\n")
    }

    /** A part without the empty lines around it. */
    private fun inner(lines: List<String>): List<String> {
        val from = if (lines.firstOrNull() == "") 1 else 0
        val end = if (lines.size > from && lines.last() == "") lines.size - 1 else lines.size
        return lines.subList(from, end)
    }

    private fun quoted(text: String): String = text.split('\n').joinToString("\n") { if (it.isEmpty()) ">" else "> $it" }

    private fun unquoted(lines: List<String>): String =
        lines.joinToString("\n") { if (it.startsWith('>')) it.substring(1).removePrefix(" ") else it }

    private fun escaped(text: String): String =
        text.split('\n').joinToString("\n") { if (MARK.matches(it) || ESCAPED.matches(it)) "\\$it" else it }

    private fun unescaped(line: String): String = if (ESCAPED.matches(line)) line.substring(1) else line

    private const val LONGEST_VERSION = 20
}
