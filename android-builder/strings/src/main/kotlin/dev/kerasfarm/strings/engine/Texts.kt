package dev.kerasfarm.strings.engine

private const val CONTINUATION = 0x80
private const val CONTINUATION_MASK = 0xC0

/** What the model is given of a text: its UTF-8 [bytes], the last ones that fit; [left] bytes had no place. */
class PromptBytes(val bytes: ByteArray, val left: Int)

/** The end of [text] in at most [limit] bytes, beginning with a whole character, and with a word where one begins. */
fun promptBytes(text: String, limit: Int): PromptBytes {
    val whole = text.encodeToByteArray()
    if (whole.size <= limit) return PromptBytes(whole, 0)
    var start = whole.size - limit
    while (start < whole.size && whole[start].toInt() and CONTINUATION_MASK == CONTINUATION) start++
    val space = (start until whole.size).firstOrNull { whole[it] == ' '.code.toByte() }
    // A word that fills half of the room is read from its middle.
    if (space != null && space - start < limit / 2) start = space + 1
    return PromptBytes(whole.copyOfRange(start, whole.size), start)
}

/**
 * What the model wrote. [text] is the answer alone when the output began with the prompt, byte by byte, and else the
 * whole output, with [echoed] false: where an answer begins is never drafted at.
 */
data class Answer(val text: String, val echoed: Boolean)

/** Takes the [prompt] off an [output] that begins with it. */
fun answerOf(prompt: ByteArray, output: ByteArray): Answer {
    val echoed = output.size >= prompt.size && prompt.indices.all { prompt[it] == output[it] }
    val bytes = if (echoed) output.copyOfRange(prompt.size, output.size) else output
    return Answer(bytes.copyOf(wholeCharacters(bytes)).decodeToString(), echoed)
}

/** How many bytes there are up to the end of the last whole character: a limit of tokens may cut one in two. */
fun wholeCharacters(bytes: ByteArray): Int {
    var start = bytes.size - 1
    while (start >= 0 && bytes.size - start <= 3 && bytes[start].toInt() and CONTINUATION_MASK == CONTINUATION) start--
    if (start < 0) return bytes.size
    val first = bytes[start].toInt() and 0xFF
    val length = when {
        first >= 0xF0 -> 4
        first >= 0xE0 -> 3
        first >= 0xC0 -> 2
        else -> 1
    }
    return if (start + length > bytes.size) start else bytes.size
}
