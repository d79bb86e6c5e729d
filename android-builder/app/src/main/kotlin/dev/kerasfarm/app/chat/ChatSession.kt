package dev.kerasfarm.app.chat

import android.database.sqlite.SQLiteDatabaseCorruptException
import android.database.sqlite.SQLiteException
import android.database.sqlite.SQLiteFullException
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.generation.noticeOf
import dev.kerasfarm.generation.ConversationRefused
import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.chat.Answer
import dev.kerasfarm.generation.chat.Conversation
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.time.Instant
import java.util.concurrent.Executors

/**
 * The conversation that the screen shows, for the whole process: it is written on [session]'s thread, and kept in the
 * store on one of its own. All functions are to be called on the main thread.
 *
 * What is said is kept when it is asked, every few seconds while it is answered, and at the end of the answer.
 */
class ChatSession(private val session: Session, openStore: () -> ConversationStore) {
    private val store by lazy(openStore) // by its thread alone
    private val disk = Executors.newSingleThreadExecutor { task -> Thread(task, "conversations") }
    private var conversation: Conversation? = null // by the session's thread alone, as all below
    private var generator: TextGenerator? = null
    private var shown = SavedConversation()
    private var told = false // of a damaged store; by the store's thread alone

    @Volatile
    private var kept = Kept()

    @Volatile
    private var reading = false // the conversation is read again, which a question breaks off

    /** What the model is told before everything, and whether it thinks, in the conversations that begin from now on. */
    var system: String? = null
    var thinking = false

    /** How answers are written, which decides how much of a conversation is read. */
    var options = GenerationOptions()

    private val chat: ChatState get() = session.state.chat

    /** Shows the latest conversation, unless one is shown already. */
    fun begin() {
        if (chat.loaded) return
        onDisk {
            // What an earlier process deleted and did not forget.
            store.purge()
            store.latest()?.let { show(it) } ?: session.update { it.copy(chat = ChatState(loaded = true)) }
        }
    }

    /** Shows the conversation [id]. */
    fun open(id: Long) {
        if (session.state.busy || id == chat.id) return
        onDisk { show(id) }
    }

    /** Begins a new conversation. */
    fun new() {
        if (session.state.busy) return
        reading = false
        session.update { it.copy(chat = ChatState(loaded = true), notice = null) }
        session.onWorker { forget() }
    }

    /** Asks [question]; false, and nothing is done, while the model is at work. */
    fun send(question: String): Boolean =
        answer { conversation, listener -> conversation.send(question, options, listener) }

    /** Answers the last question once more. */
    fun regenerate(): Boolean =
        answer { conversation, listener -> conversation.regenerate(options, listener) }

    /** Asks [question] in place of that of turn number [index]; what came behind it goes. */
    fun edit(index: Int, question: String): Boolean =
        answer { conversation, listener -> conversation.edit(index, question, options, listener) }

    /** Takes the last turn back. */
    fun discard() {
        if (session.state.busy) return
        session.onWorker {
            conversation?.discard()
            val turns = chat.turns.dropLast(1)
            session.update { it.copy(chat = it.chat.copy(turns = turns, ended = null), notice = null) }
            shown = shown.copy(turns = turns)
            keep()
        }
    }

    /** Calls the conversation [title]. */
    fun rename(id: Long, title: String, then: () -> Unit = {}) {
        if (id == chat.id) session.update { it.copy(chat = it.chat.copy(title = title)) }
        onDisk(then) { store.rename(id, title) }
    }

    /** Takes a conversation out of the list. */
    fun delete(id: Long, then: () -> Unit) {
        if (id == chat.id) new()
        onDisk(then) { store.delete(id) }
    }

    /** Puts it back. */
    fun undelete(id: Long, then: () -> Unit) = onDisk(then) { store.delete(id, deleted = false) }

    /** Forgets what was deleted; the time to take it back is over. */
    fun purge() = onDisk { store.purge() }

    /** Gives the list of conversations that have [search] in them. */
    fun list(search: String, found: (List<Entry>) -> Unit) {
        var entries = listOf<Entry>()
        onDisk({ found(entries) }) { entries = store.list(search) }
    }

    /** Writes a conversation into the file that [open] opens; [then] is told whether it worked. */
    fun export(id: Long, format: ExportFormat, open: () -> OutputStream?, then: (Boolean) -> Unit) {
        var done = false
        onDisk({ then(done) }) {
            done = try {
                val text = store.read(id)?.let { format.text(it) }
                val stream = if (text == null) null else open()
                stream?.use { it.write(text.orEmpty().toByteArray()) } != null
            } catch (_: IOException) {
                false
            } catch (_: SecurityException) {
                false // its owner has taken the file back
            }
        }
    }

    /**
     * Keeps the conversation in the file that [open] opens; [then] gets its number, or why it is refused, or neither where
     * the file cannot be read.
     */
    fun import(open: () -> InputStream?, then: (Long?, ConversationRefused?) -> Unit) {
        var id: Long? = null
        var refused: ConversationRefused? = null
        onDisk({ then(id, refused) }) {
            try {
                id = open()?.let { store.add(SavedConversation.read(it)) }
            } catch (error: ConversationRefused) {
                refused = error
            } catch (_: IOException) {
                id = null
            } catch (_: SecurityException) {
                id = null // its owner has taken the file back
            }
        }
    }

    /** Breaks off what is read in the background. */
    fun pause() {
        reading = false
    }

    /** Reads the conversation into the model's cache where it is not yet. */
    fun readAgain() {
        if (reading || session.state.busy || chat.turns.isEmpty()) return
        reading = true
        session.onWorker {
            val listener = object : Quiet() {
                override fun onRead(read: Int, total: Int): Boolean {
                    session.update { it.copy(chat = it.chat.copy(read = read, total = total)) }
                    return reading
                }
            }
            val generator = session.ready()
            if (reading && chat.turns.isNotEmpty()) {
                val conversation = conversation(generator)
                conversation.read(options, listener)
                session.update { state ->
                    val taken = conversation.contextTokens
                    val dropped = conversation.droppedTurns
                    state.copy(chat = state.chat.copy(read = 0, total = 0, contextTokens = taken, dropped = dropped))
                }
            }
            reading = false
        }
    }

    private fun answer(write: (Conversation, GenerationListener) -> Answer): Boolean {
        if (session.state.busy || session.state.phase == Phase.OPENING) return false
        reading = false
        return session.write { model ->
            val conversation = conversation(model)
            val growing = Growing(conversation)
            val answer = try {
                write(conversation, growing)
            } finally {
                session.update { it.copy(chat = it.chat.copy(read = 0, total = 0)) }
            }
            growing.show()
            session.update {
                it.copy(
                    phase = Phase.READY,
                    tokens = answer.tokens,
                    tokensPerSecond = answer.tokensPerSecond,
                    stopped = answer.reason == EndReason.STOPPED,
                    chat = it.chat.copy(ended = answer.reason, contextTokens = answer.contextTokens),
                    notice = Notice.UnsuitableAnswer.takeIf { answer.reason == EndReason.UNSUITABLE }
                        ?: noticeOf(answer.reason, answer.tokens, answer.contextTokens)
                        ?: it.notice as? Notice.Keeping,
                )
            }
            growing.keep()
        }
    }

    /** Draws and keeps a conversation that grows. */
    private inner class Growing(private val conversation: Conversation) : GenerationListener {
        private var last = System.nanoTime()
        private var begun = false

        override fun onRead(read: Int, total: Int): Boolean {
            if (!begun) {
                begun = true
                show()
                keep()
            }
            return !session.cancelled
        }

        override fun onThought(part: String): Boolean = true.also { show() }

        override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean {
            if (part.isNotEmpty()) show()
            session.update { it.copy(phase = Phase.WRITING, tokens = tokens, tokensPerSecond = tokensPerSecond) }
            if (System.nanoTime() - last > KEEP_NANOSECONDS) keep()
            return !session.cancelled
        }

        fun show() {
            val turns = conversation.turns
            val dropped = conversation.droppedTurns
            val taken = conversation.contextTokens
            session.update {
                val title = it.chat.title.ifEmpty { ConversationStore.titleOf(turns) }
                it.copy(
                    chat = it.chat.copy(
                        turns = turns,
                        dropped = dropped,
                        contextTokens = taken,
                        title = title,
                        ended = null,
                    ),
                )
            }
        }

        fun keep() {
            last = System.nanoTime()
            shown = conversation.save(shown.title, shown.created ?: Instant.now().toString())
            this@ChatSession.keep()
        }
    }

    /** The conversation that is shown, for [model], which may have been opened again. */
    private fun conversation(model: TextGenerator): Conversation {
        val present = conversation
        if (present != null && generator === model) return present.also { settle(it) }
        generator = model
        return Conversation.restore(model, shown).also {
            conversation = it
            settle(it)
        }
    }

    /** An empty conversation begins with what is set. */
    private fun settle(conversation: Conversation) {
        if (conversation.turns.isNotEmpty()) return
        conversation.system = system
        conversation.thinking = thinking
    }

    private fun forget() {
        conversation = null
        shown = SavedConversation()
        kept = Kept()
    }

    /** On the store's thread. */
    private fun show(id: Long) {
        val found = store.read(id) ?: return
        reading = false
        session.onWorker {
            conversation = null
            shown = found
            kept = Kept(id, found.turns)
        }
        session.update {
            it.copy(
                chat = ChatState(id, found.title.orEmpty(), found.turns, loaded = true),
                notice = it.notice as? Notice.Keeping,
            )
        }
        session.onMain { readAgain() }
    }

    /** Keeps what is [shown]. */
    private fun keep() {
        val saved = shown
        val target = kept
        onDisk {
            val id = target.id
            if (id != null) {
                store.update(id, saved, saved.turns.zip(target.turns).takeWhile { (one, other) -> one == other }.size)
            } else if (saved.turns.isNotEmpty()) {
                val added = store.add(saved)
                target.id = added
                session.update { if (kept === target) it.copy(chat = it.chat.copy(id = added)) else it }
            }
            target.turns = saved.turns
        }
    }

    /** What the store has of a conversation: its number and turns; by the store's thread alone. */
    private class Kept(var id: Long? = null, var turns: List<Turn> = emptyList())

    /** Closes the store, once all is kept. */
    fun close() = onDisk { store.close() }

    private fun onDisk(then: () -> Unit = {}, work: () -> Unit) = disk.execute {
        try {
            work()
            tellDamage()
        } catch (_: SQLiteDatabaseCorruptException) {
            // What is shown is kept again, with the next thing that is said.
            kept = Kept()
            tellDamage()
        } catch (_: SQLiteFullException) {
            tell(Notice.StorageFull)
        } catch (error: SQLiteException) {
            tell(Notice.StoreFailed(error.message.orEmpty()))
        }
        session.onMain(then)
    }

    private fun tellDamage() {
        val file = store.damaged ?: return
        if (!told) tell(Notice.StoreDamaged(file.name))
        told = true
    }

    private fun tell(notice: Notice.Keeping) = session.update {
        it.copy(notice = notice, chat = it.chat.copy(loaded = true))
    }

    private open class Quiet : GenerationListener {
        override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = true
    }

    private companion object {
        /** While it is written, an answer is kept every few seconds. */
        const val KEEP_NANOSECONDS = 2_000_000_000L
    }
}
