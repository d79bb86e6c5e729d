package dev.kerasfarm.app

import android.os.Bundle
import dev.kerasfarm.app.chat.ChatState
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.screens.await

/** What tests of the mode chat share: a conversation on the first screen. */
abstract class ChatTest : AppTest() {
    protected val chat: ChatState get() = session.state.chat
    protected val questions: List<String> get() = session.state.info!!.prompting.prompts

    /** Opens the first screen with a conversation. */
    protected fun chatting(saved: Bundle? = null) {
        open(Mode.CHAT, saved)
        await("the conversation") { chat.loaded }
    }

    /** Asks, and waits for the answer and the buttons behind it. */
    protected fun ask(question: String) {
        answer(question)
        await("the buttons") { visible(R.id.generate) }
    }
}
