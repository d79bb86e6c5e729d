package dev.kerasfarm.generation.tokenizer

import java.io.ByteArrayOutputStream

/**
 * The letters that stand for bytes in a byte-level vocabulary.
 *
 * Printable Latin-1 bytes stand for themselves; the others are numbered from U+0100 on in their order.
 */
internal object ByteAlphabet {
    private val letterOfByte = CharArray(256)
    private val byteOfLetter = IntArray(512) { -1 }

    init {
        var next = 0x100
        for (byte in 0..255) {
            val printable = byte in 0x21..0x7E || byte in 0xA1..0xAC || byte in 0xAE..0xFF
            val letter = if (printable) byte else next++
            letterOfByte[byte] = letter.toChar()
            byteOfLetter[letter] = byte
        }
    }

    /** The letter of a byte from 0 to 255. */
    fun letter(byte: Int): Char = letterOfByte[byte]

    /** Calls [use] with the letter of each UTF-8 byte of a code point that is no surrogate. */
    inline fun forEachLetter(codePoint: Int, use: (Int) -> Unit) {
        when {
            codePoint < 0x80 -> use(letter(codePoint).code)
            codePoint < 0x800 -> {
                use(letter(0xC0 or (codePoint shr 6)).code)
                use(letter(continuation(codePoint, 0)).code)
            }
            codePoint < 0x10000 -> {
                use(letter(0xE0 or (codePoint shr 12)).code)
                use(letter(continuation(codePoint, 6)).code)
                use(letter(continuation(codePoint, 0)).code)
            }
            else -> {
                use(letter(0xF0 or (codePoint shr 18)).code)
                use(letter(continuation(codePoint, 12)).code)
                use(letter(continuation(codePoint, 6)).code)
                use(letter(continuation(codePoint, 0)).code)
            }
        }
    }

    fun continuation(codePoint: Int, shift: Int): Int = 0x80 or (codePoint shr shift and 0x3F)

    /** The bytes of a token; a token with a letter outside the alphabet stands for its own UTF-8 bytes. */
    fun bytes(token: String): ByteArray {
        val output = ByteArrayOutputStream(token.length)
        for (letter in token) {
            val byte = if (letter.code < byteOfLetter.size) byteOfLetter[letter.code] else -1
            if (byte < 0) return token.toByteArray(Charsets.UTF_8)
            output.write(byte)
        }
        return output.toByteArray()
    }
}
