package dev.kerasfarm.generation.tokenizer

/**
 * Turns text into token ids and back. Each kind of `tokenizer.json` that the app runs is one implementation.
 */
interface Tokenizer {
    /** One more than the largest token id. */
    val size: Int

    /** The token ids of [text]; lone surrogates count as U+FFFD. */
    fun encode(text: String): IntArray

    /**
     * The token ids of a part of a text, in which special tokens are text whatever the model's own habit is. [begins]:
     * the text begins with it.
     */
    fun encodeLiteral(text: String, begins: Boolean): IntArray

    /**
     * Turns tokens into text as they come.
     *
     * [continues]: the tokens go on from a text, so that a blank before the first word is part of what is written.
     */
    fun decoder(continues: Boolean = false): StreamDecoder

    /** The text of [ids] as a whole; bytes that are no UTF-8 become U+FFFD. */
    fun decode(ids: IntArray): String {
        val decoder = decoder()
        val text = StringBuilder()
        for (id in ids) text.append(decoder.push(id))
        return text.append(decoder.finish()).toString()
    }
}

/** Turns tokens into text one by one; a character appears once its last byte is there. */
interface StreamDecoder {
    /** The text that this token completes; may be empty. */
    fun push(id: Int): String

    /** What is left at the end: U+FFFD for bytes of a character that was cut off. */
    fun finish(): String
}

/** The text with U+FFFD for each surrogate that is not one of a pair: such text has no UTF-8. */
internal fun replaceLoneSurrogates(text: String): String {
    if (text.none { it.isSurrogate() }) return text
    val whole = StringBuilder(text.length)
    var position = 0
    while (position < text.length) {
        val point = text.codePointAt(position)
        whole.appendCodePoint(if (point in 0xD800..0xDFFF) 0xFFFD else point)
        position += Character.charCount(point)
    }
    return whole.toString()
}

/** The code points of [text]. */
internal fun codePoints(text: String): IntArray {
    val points = IntArray(text.length)
    var count = 0
    var position = 0
    while (position < text.length) {
        val point = text.codePointAt(position)
        points[count++] = point
        position += Character.charCount(point)
    }
    return points.copyOf(count)
}
