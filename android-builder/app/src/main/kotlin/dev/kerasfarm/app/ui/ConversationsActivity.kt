package dev.kerasfarm.app.ui

import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.text.Editable
import android.text.InputType
import android.text.TextWatcher
import android.view.View
import android.widget.EditText
import android.widget.FrameLayout
import android.widget.ListView
import android.widget.PopupMenu
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.chat.Entry
import dev.kerasfarm.app.chat.ExportFormat
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.generation.ConversationRefused

/** The conversations that are kept: to open, search, rename, delete, export, and to add one from a file. */
class ConversationsActivity : ModelActivity() {
    private val chat get() = session.chat
    private lateinit var list: ListView
    private lateinit var adapter: ConversationAdapter
    private var exporting: Pair<Long, ExportFormat>? = null
    private var deleted: Long? = null
    private var told: String? = null // of a file, until the next one

    override fun build(state: SessionState) {
        setContentView(R.layout.conversations)
        setUpHeader(R.string.conversations)
        list = findViewById(R.id.list)
        adapter = ConversationAdapter(this) { view, entry -> showMenu(view, entry) }
        list.adapter = adapter
        list.setOnItemClickListener { _, _, place, _ -> open(adapter.getItem(place).id) }
        findViewById<View>(R.id.new_chat).run {
            visibility = View.VISIBLE
            setOnClickListener {
                chat.new()
                finish()
            }
        }
        findViewById<View>(R.id.import_file).run {
            visibility = View.VISIBLE
            setOnClickListener { pickFile() }
        }
        findViewById<View>(R.id.undo_delete).setOnClickListener { undo() }
        findViewById<EditText>(R.id.search).addTextChangedListener(object : TextWatcher {
            override fun afterTextChanged(text: Editable) = refresh()

            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit
        })
        refresh()
    }

    override fun show(state: SessionState) {
        val sentence = told ?: (state.notice as? Notice.Keeping)?.let { sentence(it, resources) }
        findViewById<TextView>(R.id.notice).run {
            visibility = if (sentence == null) View.GONE else View.VISIBLE
            if (text.toString() != sentence.orEmpty()) text = sentence.orEmpty()
        }
    }

    override fun save(into: Bundle) {
        exporting?.let { (id, format) ->
            into.putLong(EXPORTED, id)
            into.putString(FORMAT, format.name)
        }
        deleted?.let { into.putLong(DELETED, it) }
        into.putString(TOLD, told)
    }

    override fun restored(saved: Bundle) {
        saved.getString(FORMAT)?.let { exporting = saved.getLong(EXPORTED) to ExportFormat.valueOf(it) }
        told = saved.getString(TOLD)
        if (saved.containsKey(DELETED)) offerUndo(saved.getLong(DELETED))
    }

    override fun onDestroy() {
        // Once the screen is left, what was deleted is gone.
        if (isFinishing && deleted != null) chat.purge()
        super.onDestroy()
    }

    private fun refresh() {
        val search = findViewById<EditText>(R.id.search).text.toString()
        chat.list(search) { entries ->
            adapter.show(entries)
            findViewById<TextView>(R.id.none).run {
                visibility = if (entries.isEmpty()) View.VISIBLE else View.GONE
                setText(if (search.isBlank()) R.string.no_conversations else R.string.nothing_found)
            }
        }
    }

    private fun open(id: Long) {
        chat.open(id)
        finish()
    }

    private fun showMenu(anchor: View, entry: Entry) = PopupMenu(this, anchor).run {
        menu.add(0, 0, 0, R.string.rename).setOnMenuItemClickListener { true.also { askName(entry) } }
        menu.add(0, 1, 1, R.string.export_json).setOnMenuItemClickListener { true.also { export(entry, ExportFormat.JSON) } }
        menu.add(0, 2, 2, R.string.export_markdown)
            .setOnMenuItemClickListener { true.also { export(entry, ExportFormat.MARKDOWN) } }
        menu.add(0, 3, 3, R.string.delete).setOnMenuItemClickListener { true.also { delete(entry) } }
        show()
    }

    private fun askName(entry: Entry) {
        val field = EditText(this).apply {
            setText(entry.title)
            setSelectAllOnFocus(true)
            inputType = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES
            minHeight = resources.getDimensionPixelSize(R.dimen.touch_target)
        }
        val side = resources.getDimensionPixelSize(R.dimen.side)
        val frame = FrameLayout(this).apply {
            setPaddingRelative(side, side / 2, side, 0)
            addView(field)
        }
        AlertDialog.Builder(this)
            .setTitle(R.string.rename)
            .setView(frame)
            .setNegativeButton(android.R.string.cancel, null)
            .setPositiveButton(android.R.string.ok) { _, _ ->
                val name = field.text.toString().trim()
                if (name.isNotEmpty()) chat.rename(entry.id, name) { refresh() }
            }
            .show()
    }

    private fun delete(entry: Entry) {
        offerUndo(entry.id)
        chat.delete(entry.id) { refresh() }
    }

    private fun offerUndo(id: Long) {
        deleted = id
        findViewById<View>(R.id.undo_bar).visibility = View.VISIBLE
    }

    private fun undo() {
        deleted?.let { id -> chat.undelete(id) { refresh() } }
        deleted = null
        findViewById<View>(R.id.undo_bar).visibility = View.GONE
    }

    private fun export(entry: Entry, format: ExportFormat) {
        exporting = entry.id to format
        val intent = Intent(Intent.ACTION_CREATE_DOCUMENT)
            .addCategory(Intent.CATEGORY_OPENABLE)
            .setType(format.type)
            .putExtra(Intent.EXTRA_TITLE, fileName(entry.title) + format.suffix)
        ask(intent, EXPORT)
    }

    private fun pickFile() =
        ask(Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), IMPORT)

    private fun ask(intent: Intent, request: Int) = try {
        startActivityForResult(intent, request)
    } catch (_: android.content.ActivityNotFoundException) {
        showNotice(getString(R.string.notice_no_files))
    }

    @Deprecated("The platform has no other way; the newer one belongs to a library.")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val file = data?.data
        if (result != RESULT_OK || file == null) return
        if (request == EXPORT) write(file) else read(file)
    }

    private fun write(file: Uri) {
        val (id, format) = exporting ?: return
        exporting = null
        chat.export(id, format, { contentResolver.openOutputStream(file, "wt") }) { done ->
            showNotice(if (done) null else getString(R.string.notice_not_written))
        }
    }

    private fun read(file: Uri) = chat.import({ contentResolver.openInputStream(file) }) { id, refused ->
        if (id != null) open(id) else showNotice(refusal(refused))
    }

    private fun refusal(refused: ConversationRefused?): String =
        if (refused == null) getString(R.string.notice_not_read) else getString(R.string.notice_import, refused.message)

    private fun showNotice(sentence: String?) {
        told = sentence
        show(session.state)
    }

    private fun fileName(title: String): String = title.replace(Regex("[^\\p{L}\\p{N} ._-]"), "").trim().take(LONGEST_NAME)

    private companion object {
        const val EXPORT = 1
        const val IMPORT = 2
        const val LONGEST_NAME = 60
        const val EXPORTED = "exported"
        const val FORMAT = "format"
        const val DELETED = "deleted"
        const val TOLD = "told"
    }
}
