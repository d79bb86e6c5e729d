package dev.kerasfarm.generation.tokenizer

import java.io.DataInputStream
import java.io.EOFException
import java.io.InputStream

/**
 * What each code point is for the steps that split a text: a letter of some case, a mark, a number, white space.
 *
 * Read from `unicode-classes.bin`, a two-level table of the reference tokenizer's own answers: Android's Unicode
 * version differs from release to release, and a prompt must split the same way on all of them.
 */
class CodePointClasses private constructor(private val index: ShortArray, private val blocks: ByteArray) {
    /** A number below [COUNT], one of those below. */
    fun of(codePoint: Int): Int {
        val block = index[codePoint ushr 8].toInt()
        val offset = codePoint and 0xFF
        return blocks[(block shl 7) + (offset ushr 1)].toInt() ushr ((offset and 1) shl 2) and 15
    }

    companion object {
        const val OTHER_LETTER = 1
        const val UPPER_LETTER = 2
        const val LOWER_LETTER = 3
        const val MODIFIER_LETTER = 4
        const val TITLE_LETTER = 5
        const val MARK = 6
        const val PUNCTUATED_MARK = 7
        const val NUMBER = 8
        const val DIGIT_WITHOUT_NUMBER = 9
        const val PUNCTUATION = 10
        const val PUNCTUATED_PUNCTUATION = 11
        const val SYMBOL = 12
        const val PUNCTUATED_SYMBOL = 13
        const val SPACE = 14

        /** How many there are, 0 for all others included. */
        const val COUNT = 15

        private const val MAGIC = 0x55434C32 // "UCL2"
        private const val INDEX_LENGTH = 0x110000 shr 8
        private const val BLOCK_BYTES = 128

        /** Reads the table; the caller closes the stream. Throws [TokenizerUnusable] when it has another form. */
        fun read(stream: InputStream): CodePointClasses {
            val input = DataInputStream(stream)
            try {
                if (input.readInt() != MAGIC) throw TokenizerUnusable("the table of code point classes is damaged")
                val count = input.readUnsignedShort()
                val index = ShortArray(INDEX_LENGTH) { input.readUnsignedShort().toShort() }
                if (index.any { it < 0 || it >= count }) {
                    throw TokenizerUnusable("the table of code point classes is damaged")
                }
                val blocks = ByteArray(count * BLOCK_BYTES)
                input.readFully(blocks)
                return CodePointClasses(index, blocks)
            } catch (error: EOFException) {
                throw TokenizerUnusable("the table of code point classes is cut short", error)
            }
        }
    }
}
