package dev.kerasfarm.app.chat

import android.content.ContentValues
import android.content.Context
import android.database.DatabaseErrorHandler
import android.database.sqlite.SQLiteDatabase
import android.database.sqlite.SQLiteException
import android.database.sqlite.SQLiteOpenHelper
import dev.kerasfarm.generation.chat.ModelName
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import java.io.Closeable
import java.io.File

/** A conversation in the list: [title] is what it is called, [updated] when something was last said, in milliseconds. */
data class Entry(val id: Long, val title: String, val updated: Long, val model: String?)

/**
 * The conversations that are kept on the phone, in a database of the platform.
 *
 * All functions read or write files: never call them on the main thread. A database that is damaged is moved aside
 * ([damaged] names the file) and an empty one begun; nothing is thrown away.
 */
class ConversationStore(context: Context, private val now: () -> Long = System::currentTimeMillis) : Closeable {
    private val file = context.getDatabasePath(NAME)

    /** The file that the damaged database was moved to; null when it was sound. */
    @Volatile
    var damaged: File? = null
        private set

    private val helper = Helper(context) { moveAside() }
    private var checked = false

    // Asked each time: the helper opens another one where the file had to be moved aside.
    internal val database: SQLiteDatabase get() = if (checked) helper.writableDatabase else open().also { checked = true }

    /** The conversations, the latest first; with words in [search] only those in which they stand. */
    fun list(search: String = ""): List<Entry> {
        val pattern = "%" + search.trim().replace(Regex("([\\\\%_])"), "\\\\$1") + "%"
        val found = if (search.isBlank()) {
            ""
        } else {
            "AND (title LIKE ?1 ESCAPE '\\' OR id IN (SELECT conversation FROM turns" +
                " WHERE question LIKE ?1 ESCAPE '\\' OR answer LIKE ?1 ESCAPE '\\'))"
        }
        val query = "SELECT id, title, updated, model FROM conversations WHERE NOT deleted $found" +
            " ORDER BY updated DESC, id DESC"
        return database.rawQuery(query, if (search.isBlank()) null else arrayOf(pattern)).use { rows ->
            List(rows.count) {
                rows.moveToPosition(it)
                Entry(rows.getLong(0), rows.getString(1), rows.getLong(2), rows.getString(3))
            }
        }
    }

    /** The conversation that something was last said in; null where there is none. */
    fun latest(): Long? =
        database.rawQuery(
            "SELECT id FROM conversations WHERE NOT deleted ORDER BY updated DESC, id DESC LIMIT 1",
            null,
        ).use {
            if (it.moveToFirst()) it.getLong(0) else null
        }

    /** A conversation with all its turns; null when it is gone. */
    fun read(id: Long): SavedConversation? {
        val columns = "title, created, system, thinking, model, model_sha256"
        return database.rawQuery("SELECT $columns FROM conversations WHERE id = ?", arrayOf("$id")).use { row ->
            if (!row.moveToFirst()) return null
            SavedConversation(
                title = row.getString(0),
                created = row.getString(1),
                model = row.getString(4)?.let { ModelName(it, row.getString(5)) },
                system = row.getString(2),
                thinking = row.getInt(3) != 0,
                turns = turns(id),
            )
        }
    }

    private fun turns(id: Long): List<Turn> {
        val query = "SELECT question, answer, thought, model FROM turns WHERE conversation = ? ORDER BY place"
        return database.rawQuery(query, arrayOf("$id")).use { rows ->
            val found = ArrayList<Turn>()
            while (rows.moveToNext()) {
                found.add(Turn(rows.getString(0), rows.getString(1), rows.getString(2), rows.getString(3)))
            }
            found
        }
    }

    /** Keeps a new conversation; its number. */
    fun add(conversation: SavedConversation): Long = transaction {
        val id = insertOrThrow("conversations", null, values(conversation).apply { put("updated", now()) })
        put(id, 0, conversation.turns)
        id
    }

    /** Keeps what was said: [conversation] has all turns, of which those before [from] are kept already. */
    fun update(id: Long, conversation: SavedConversation, from: Int) = transaction {
        val values = values(conversation).apply {
            remove("title") // its user may have given it another one
            remove("created")
            put("updated", now())
        }
        update("conversations", values, "id = ?", arrayOf("$id"))
        delete("turns", "conversation = ? AND place >= ?", arrayOf("$id", "$from"))
        put(id, from, conversation.turns)
    }

    /** Calls it [title]. */
    fun rename(id: Long, title: String) {
        database.update("conversations", ContentValues().apply { put("title", title) }, "id = ?", arrayOf("$id"))
    }

    /** Takes it out of the list, or puts it back; [purge] makes an end of it. */
    fun delete(id: Long, deleted: Boolean = true) {
        val values = ContentValues().apply { put("deleted", if (deleted) 1 else 0) }
        database.update("conversations", values, "id = ?", arrayOf("$id"))
    }

    /** Forgets what was deleted. */
    fun purge() {
        database.delete("conversations", "deleted", null)
    }

    override fun close() = helper.close()

    private fun values(conversation: SavedConversation) = ContentValues().apply {
        put("title", conversation.title ?: titleOf(conversation.turns))
        put("created", conversation.created)
        put("system", conversation.system)
        put("thinking", if (conversation.thinking) 1 else 0)
        put("model", conversation.model?.name)
        put("model_sha256", conversation.model?.sha256)
    }

    private fun SQLiteDatabase.put(id: Long, from: Int, turns: List<Turn>) {
        for (place in from until turns.size) {
            val turn = turns[place]
            val values = ContentValues().apply {
                put("conversation", id)
                put("place", place)
                put("question", turn.question)
                put("answer", turn.answer)
                put("thought", turn.thought)
                put("model", turn.model)
            }
            insertOrThrow("turns", null, values)
        }
    }

    private fun <T> transaction(work: SQLiteDatabase.() -> T): T = database.run {
        beginTransaction()
        val done = try {
            work().also { setTransactionSuccessful() }
        } catch (error: SQLiteException) {
            // A full storage has ended the transaction already: to end it once more would hide the reason.
            try {
                endTransaction()
            } catch (_: SQLiteException) {
                throw error
            }
            throw error
        }
        endTransaction()
        done
    }

    /** Opened once as it is, and once more when it had to be moved aside. */
    private fun open(): SQLiteDatabase {
        val first = helper.writableDatabase
        // A damage in the middle of the file is only found where one looks.
        if (damaged == null && !isSound(first)) {
            helper.close()
            moveAside()
        }
        return helper.writableDatabase
    }

    private fun isSound(database: SQLiteDatabase): Boolean =
        database.rawQuery("PRAGMA quick_check(1)", null).use { it.moveToFirst() && it.getString(0) == "ok" }

    private fun moveAside() {
        val target = File(file.path + ".damaged-" + now())
        if (file.renameTo(target)) damaged = target
        for (suffix in listOf("-wal", "-shm", "-journal")) File(file.path + suffix).delete()
    }

    private class Helper(context: Context, damaged: () -> Unit) :
        SQLiteOpenHelper(
            context,
            NAME,
            null,
            VERSION,
            DatabaseErrorHandler { database ->
                // One that is about to be opened is opened again behind this.
                if (database.isOpen) database.close()
                damaged()
            },
        ) {
        override fun onConfigure(database: SQLiteDatabase) {
            database.setForeignKeyConstraintsEnabled(true)
        }

        override fun onCreate(database: SQLiteDatabase) {
            database.execSQL(
                "CREATE TABLE conversations (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, created TEXT," +
                    " updated INTEGER NOT NULL, system TEXT, thinking INTEGER NOT NULL, model TEXT, model_sha256 TEXT," +
                    " deleted INTEGER NOT NULL DEFAULT 0)",
            )
            database.execSQL(
                "CREATE TABLE turns (conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE," +
                    " place INTEGER NOT NULL, question TEXT NOT NULL, answer TEXT, thought TEXT, model TEXT," +
                    " PRIMARY KEY (conversation, place)) WITHOUT ROWID",
            )
            database.execSQL("CREATE INDEX conversations_updated ON conversations (updated)")
        }

        override fun onUpgrade(database: SQLiteDatabase, oldVersion: Int, newVersion: Int) = Unit
    }

    companion object {
        /** The database's file name. */
        const val NAME = "conversations.db"
        private const val VERSION = 1
        private const val LONGEST_TITLE = 80

        /** What a conversation is called that nobody gave a name: its first question, on one line. */
        fun titleOf(turns: List<Turn>): String =
            turns.firstOrNull()?.question.orEmpty().trim().replace(Regex("\\s+"), " ").take(LONGEST_TITLE)
    }
}
