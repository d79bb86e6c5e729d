package dev.kerasfarm.app

import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.generation.ModelMissing
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.Prompting
import dev.kerasfarm.generation.refusing

/** The app, whose process can end while a test goes on, and which can pretend that its model is of the other kind. */
class TestApp : AutocompleteApplication() {
    private var current: Session? = null

    /** What the model is taken for; null: what it is. */
    var mode: Mode? = null

    /** The token that is put before a prompt; null for none. */
    var startToken: (ModelInfo) -> Int? = { it.startToken }

    /** What the model is called in the mode chat; null: as it is. */
    var name: String? = null

    /** The token that ends a thought in the mode chat; null: the model does not think. */
    var thoughtEnd: Int? = null

    /** The one word that the app does not show; null: those of its own lists. */
    var unsuitable: String? = null

    /** A file that the package is taken to lack. */
    var missing: String? = null

    /** How many bytes the conversations may take; null: as many as there are. */
    var storage: Long? = null

    /** How often the model was opened. */
    var opened = 0
        private set

    override val session: Session get() = current ?: newSession().also { current = it }

    /** The process ends, and with it all that was in memory. */
    fun endProcess() {
        current?.release()
        current?.chat?.close()
        current = null
    }

    override fun openStore(): ConversationStore =
        super.openStore().also { store -> storage?.let { store.database.setMaximumSize(it) } }

    override fun readInfo(): ModelInfo {
        missing?.let { refusing { throw ModelMissing(it) } }
        val info = super.readInfo().let { it.copy(startToken = startToken(it)) }
        return when (mode) {
            Mode.COMPLETE -> info.copy(prompting = Prompting())
            Mode.CHAT -> asChat(info, thoughtEnd).let { it.copy(name = name ?: it.name) }
            else -> info
        }
    }

    override fun open(info: ModelInfo): TextGenerator {
        opened++
        val word = unsuitable ?: return super.open(info)
        val folder = folderThatHides(assets, word)
        return TextGenerator.open(folder).also { folder.deleteRecursively() }
    }
}
