package dev.kerasfarm.generation.tokenizer

/**
 * Turns bytes into text as they come.
 *
 * Bytes that are no UTF-8 become U+FFFD, one for each longest beginning of a character (Unicode's recommended
 * practice), written out here because the platform's decoders differ in how many they put.
 */
internal class Utf8Decoder {
    private var point = 0
    private var missing = 0
    private var lowest = CONTINUATION_FIRST
    private var highest = CONTINUATION_LAST

    /** Appends what [bytes] complete to [text]. */
    fun push(bytes: ByteArray, text: StringBuilder) {
        for (byte in bytes) accept(byte.toInt() and 0xFF, text)
    }

    /** Appends what is left at the end: U+FFFD for a character that was cut off. */
    fun finish(text: StringBuilder) {
        if (missing > 0) text.append(REPLACEMENT)
        missing = 0
        lowest = CONTINUATION_FIRST
        highest = CONTINUATION_LAST
    }

    private fun accept(byte: Int, text: StringBuilder) {
        if (missing > 0) {
            if (byte in lowest..highest) {
                point = point shl 6 or (byte and 0x3F)
                lowest = CONTINUATION_FIRST
                highest = CONTINUATION_LAST
                if (--missing == 0) text.appendCodePoint(point)
                return
            }
            finish(text)
        }
        begin(byte, text)
    }

    /** The first byte of a character; some leave only a part of the next byte's range legal. */
    private fun begin(byte: Int, text: StringBuilder) {
        when (byte) {
            in 0x00..0x7F -> text.append(byte.toChar())
            in 0xC2..0xDF -> expect(1, byte and 0x1F)
            0xE0 -> expect(2, 0, lowest = 0xA0)
            0xED -> expect(2, byte and 0x0F, highest = 0x9F)
            in 0xE1..0xEF -> expect(2, byte and 0x0F)
            0xF0 -> expect(3, 0, lowest = 0x90)
            in 0xF1..0xF3 -> expect(3, byte and 0x07)
            0xF4 -> expect(3, byte and 0x07, highest = 0x8F)
            else -> text.append(REPLACEMENT)
        }
    }

    private fun expect(
        count: Int,
        bits: Int,
        lowest: Int = CONTINUATION_FIRST,
        highest: Int = CONTINUATION_LAST,
    ) {
        missing = count
        point = bits
        this.lowest = lowest
        this.highest = highest
    }

    private companion object {
        const val CONTINUATION_FIRST = 0x80
        const val CONTINUATION_LAST = 0xBF
        const val REPLACEMENT = '\uFFFD'
    }
}
