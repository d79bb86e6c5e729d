package dev.kerasfarm.app.ui

import android.content.Context
import android.speech.tts.TextToSpeech
import android.speech.tts.TextToSpeech.QUEUE_ADD
import android.speech.tts.TextToSpeech.SUCCESS
import dev.kerasfarm.app.markdown.spokenText

/** Reads texts aloud by the phone's own voice, which is fetched when it is first asked for; [missing]: there is none. */
class ReadAloud(private val context: Context, private val missing: () -> Unit) {
    private var engine: TextToSpeech? = null
    private var ready = false
    private var waiting: String? = null

    /** Reads [text], or stops reading. */
    fun toggle(text: String) {
        val present = engine
        when {
            present == null -> {
                waiting = text
                engine = TextToSpeech(context.applicationContext) { status -> began(status) }
            }
            present.isSpeaking || waiting != null -> stop()
            ready -> say(present, text)
            else -> missing()
        }
    }

    /** Stops reading. */
    fun stop() {
        waiting = null
        engine?.stop()
    }

    /** Gives the voice back. */
    fun close() {
        engine?.shutdown()
        engine = null
    }

    private fun began(status: Int) {
        ready = status == SUCCESS
        if (!ready) return missing()
        val text = waiting ?: return
        waiting = null
        engine?.let { say(it, text) }
    }

    private fun say(engine: TextToSpeech, text: String) {
        for ((number, part) in spokenText(text).chunked(TextToSpeech.getMaxSpeechInputLength()).withIndex()) {
            engine.speak(part, QUEUE_ADD, null, "part $number")
        }
    }
}
