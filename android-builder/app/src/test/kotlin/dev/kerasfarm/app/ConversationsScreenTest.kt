package dev.kerasfarm.app

import android.app.Activity
import android.content.DialogInterface
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.view.View
import android.widget.EditText
import android.widget.ListView
import android.widget.TextView
import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.app.ui.ConversationsActivity
import dev.kerasfarm.generation.chat.SavedConversation
import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.screens.await
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowAlertDialog
import org.robolectric.shadows.ShadowPopupMenu
import java.io.ByteArrayOutputStream

/** The list of conversations: its search, its menu and dialogs, and the files that come and go. */
class ConversationsScreenTest : AppTest() {
    private lateinit var opened: ActivityController<ConversationsActivity>
    private val screen: ConversationsActivity get() = opened.get()
    private val titles: List<String>
        get() = screen.findViewById<ListView>(R.id.list).run {
            List(count) { row(it).findViewById<TextView>(R.id.name).text.toString() }
        }
    private val told: String get() = screen.findViewById<TextView>(R.id.notice).text.toString()

    private fun row(place: Int): View = screen.findViewById<ListView>(R.id.list).run { adapter.getView(place, null, this) }

    /** The screen with a conversation of each of these titles, the last one on top. */
    private fun listing(vararg kept: String) {
        blocking {
            ConversationStore(app).use { store ->
                for (title in kept) {
                    store.add(
                        SavedConversation(title, turns = listOf(Turn("About $title?", "It is $title."))),
                    )
                }
            }
        }
        open(Mode.CHAT)
        await("the conversation") { session.state.chat.loaded }
        show(null)
        await("the list") { titles.size == kept.size }
    }

    private fun show(saved: Bundle?) {
        val built = Robolectric.buildActivity(ConversationsActivity::class.java)
        opened = if (saved == null) built.setup() else built.setup(saved)
        await("the screen") { screen.findViewById<View>(R.id.root) != null }
    }

    private fun choose(place: Int, item: Int) {
        check(row(place).findViewById<View>(R.id.more).performClick())
        val menu = ShadowPopupMenu.getLatestPopupMenu().menu
        val words = screen.getString(item)
        val found = (0 until menu.size()).map { menu.getItem(it) }.single { it.title == words }
        check(menu.performIdentifierAction(found.itemId, 0))
    }

    /** Answers the question for a file, which the app has just asked, and gives what it asked. */
    private fun pick(file: Uri?): Intent {
        val asked = shadowOf(screen).nextStartedActivityForResult
        val result = if (file == null) Activity.RESULT_CANCELED else Activity.RESULT_OK
        shadowOf(screen).receiveResult(asked.intent, result, file?.let { Intent().setData(it) })
        return asked.intent
    }

    private fun export(item: Int): Pair<Intent, String> {
        val file = ByteArrayOutputStream()
        shadowOf(screen.contentResolver).registerOutputStream(FILE, file)
        choose(0, item)
        val asked = pick(FILE)
        await("the file") { file.size() > 0 }
        return asked to file.toString()
    }

    private fun import(text: String) {
        shadowOf(screen.contentResolver).registerInputStream(FILE, text.byteInputStream())
        check(screen.findViewById<View>(R.id.import_file).performClick())
        pick(FILE)
    }

    private fun kept(): List<SavedConversation> = blocking {
        ConversationStore(app).use { store -> store.list().map { checkNotNull(store.read(it.id)) } }
    }

    @Test
    fun aConversationGetsAnotherName() {
        listing("Rome", "Paris")
        assertEquals(listOf("Paris", "Rome"), titles)
        choose(1, R.string.rename)
        val dialog = ShadowAlertDialog.getLatestAlertDialog()
        val field = checkNotNull(dialog.currentFocus as? EditText ?: fieldIn(checkNotNull(dialog.window).decorView))
        assertEquals("Rome", field.text.toString())
        field.setText("  ")
        check(dialog.getButton(DialogInterface.BUTTON_POSITIVE).performClick())
        await("the end of the dialog") { !dialog.isShowing }
        assertEquals(listOf("Paris", "Rome"), titles)
        choose(1, R.string.rename)
        val second = ShadowAlertDialog.getLatestAlertDialog()
        checkNotNull(fieldIn(checkNotNull(second.window).decorView)).setText(" Roma ")
        check(second.getButton(DialogInterface.BUTTON_POSITIVE).performClick())
        await("the name") { titles == listOf("Paris", "Roma") }
        assertEquals(listOf("Paris", "Roma"), kept().map { it.title })
        opened.close()
    }

    private fun fieldIn(view: View): EditText? = when (view) {
        is EditText -> view
        is android.view.ViewGroup -> (0 until view.childCount).firstNotNullOfOrNull { fieldIn(view.getChildAt(it)) }
        else -> null
    }

    @Test
    fun whatWasDeletedComesBackUntilTheScreenIsLeft() {
        listing("Rome", "Paris")
        choose(0, R.string.delete)
        await("one less") { titles == listOf("Rome") }
        // Turned over, the screen still offers it.
        val saved = Bundle()
        opened.saveInstanceState(saved).pause().stop().destroy()
        show(saved)
        await("one less") { titles == listOf("Rome") }
        assertEquals(View.VISIBLE, screen.findViewById<View>(R.id.undo_bar).visibility)
        check(screen.findViewById<View>(R.id.undo_delete).performClick())
        await("both") { titles == listOf("Paris", "Rome") }
        assertEquals(View.GONE, screen.findViewById<View>(R.id.undo_bar).visibility)
        choose(1, R.string.delete)
        await("one less") { titles == listOf("Paris") }
        screen.finish()
        opened.pause().stop().destroy()
        show(null)
        await("the list") { titles == listOf("Paris") }
        session.chat.undelete(1) {}
        session.chat.undelete(2) {}
        await("the store") { kept().map { it.title } == listOf("Paris") }
        opened.close()
    }

    @Test
    fun wordsAreLookedForAsTheyAreTyped() {
        listing("Rome", "Paris")
        val search = screen.findViewById<EditText>(R.id.search)
        search.setText("is rom")
        await("one") { titles == listOf("Rome") }
        search.setText("is berlin")
        await("none") { screen.findViewById<TextView>(R.id.none).visibility == View.VISIBLE }
        assertEquals(screen.getString(R.string.nothing_found), screen.findViewById<TextView>(R.id.none).text.toString())
        search.setText("")
        await("both") { titles == listOf("Paris", "Rome") }
        check(screen.findViewById<ListView>(R.id.list).run { performItemClick(row(1), 1, getItemIdAtPosition(1)) })
        await("the conversation") { session.state.chat.title == "Rome" }
        assertTrue(screen.isFinishing)
        opened.close()
    }

    @Test
    fun whatIsExportedIsImported() {
        listing("A?B: Paris")
        for ((item, type, suffix) in listOf(
            Triple(R.string.export_json, "application/json", ".json"),
            Triple(R.string.export_markdown, "text/markdown", ".md"),
        )) {
            val (asked, text) = export(item)
            assertEquals(Intent.ACTION_CREATE_DOCUMENT to type, asked.action to asked.type)
            assertEquals("AB Paris$suffix", asked.getStringExtra(Intent.EXTRA_TITLE))
            val before = session.state.chat.id
            import(text.replace("A?B: Paris", "From $suffix"))
            await("the copy") { session.state.chat.id != before && session.state.chat.title == "From $suffix" }
            assertEquals(listOf(Turn("About From $suffix?", "It is From $suffix.")), session.state.chat.turns)
            assertTrue(screen.isFinishing)
            opened.pause().stop().destroy()
            session.chat.delete(checkNotNull(session.state.chat.id)) {}
            show(null)
            await("the list") { titles == listOf("A?B: Paris") }
        }
        opened.close()
    }

    @Test
    fun aFileThatIsNoneIsToldInASentence() {
        listing("Paris")
        fun require(beginning: String) = await("'$beginning' instead of '$told'") { told.startsWith(beginning) }
        import("\u0000\uFFFD a picture")
        require("The file was not imported. The file is damaged, or no conversation")
        import(kept().single().toMarkdown().dropLast(30))
        require("The file was not imported. The file is cut")
        // What the model does behind the screen leaves the sentence there.
        session.update { it.copy(tokens = it.tokens + 1) }
        await("the screen") { true }
        require("The file was not imported. The file is cut")
        shadowOf(screen.contentResolver).registerInputStreamSupplier(FILE) { throw SecurityException("taken back") }
        check(screen.findViewById<View>(R.id.import_file).performClick())
        pick(FILE)
        require("The file cannot be read")
        shadowOf(screen.contentResolver).registerOutputStreamSupplier(FILE) { throw SecurityException("taken back") }
        choose(0, R.string.export_json)
        pick(FILE)
        require("The file could not be written")
        check(screen.findViewById<View>(R.id.import_file).performClick())
        pick(null)
        assertEquals(listOf("Paris"), titles)
        assertEquals(1, kept().size)
        opened.close()
    }

    private companion object {
        val FILE: Uri = Uri.parse("content://files/chosen")
    }
}
