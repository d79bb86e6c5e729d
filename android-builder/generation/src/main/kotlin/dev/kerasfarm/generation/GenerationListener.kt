package dev.kerasfarm.generation

/** Is told how a text comes along, on the thread that writes it. Each function answers whether to go on. */
interface GenerationListener {
    /** So many of the prompt's [total] tokens have been [read]. */
    fun onRead(read: Int, total: Int): Boolean = true

    /** The model thought [part] before it answers; only in a conversation. */
    fun onThought(part: String): Boolean = true

    /**
     * One more token is written: [part] is what of the text can be shown now, often nothing. [tokens] are written so
     * far, at [tokensPerSecond].
     */
    fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean
}

/** Passes on what can be shown. */
internal class PartListener(private val show: (String) -> Boolean) : GenerationListener {
    override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean = part.isEmpty() || show(part)
}
