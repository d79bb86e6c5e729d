package dev.kerasfarm.generation.tokenizer

import java.io.DataInputStream
import java.io.EOFException
import java.io.InputStream

/**
 * Which code points are letters, numbers or white space for the split rules.
 *
 * Read from `unicode-classes.bin`, a two-level table of the reference tokenizer's own answers: Android's Unicode
 * version differs from release to release, and a prompt must split the same way on all of them.
 */
class CodePointClasses private constructor(private val index: ShortArray, private val blocks: ByteArray) {
    /** [OTHER], [LETTER], [NUMBER] or [SPACE]. */
    fun of(codePoint: Int): Int {
        val block = index[codePoint ushr 8].toInt()
        val offset = codePoint and 0xFF
        return blocks[(block shl 6) + (offset ushr 2)].toInt() ushr ((offset and 3) shl 1) and 3
    }

    companion object {
        const val OTHER = 0
        const val LETTER = 1
        const val NUMBER = 2
        const val SPACE = 3

        private const val MAGIC = 0x55434C31 // "UCL1"
        private const val INDEX_LENGTH = 0x110000 shr 8
        private const val BLOCK_BYTES = 64

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
