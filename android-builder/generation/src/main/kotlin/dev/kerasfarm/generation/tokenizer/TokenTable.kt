package dev.kerasfarm.generation.tokenizer

import android.util.JsonReader
import java.io.InputStream
import java.nio.ByteBuffer
import java.util.zip.CRC32
import java.util.zip.CheckedInputStream

/**
 * A `tokenizer.json` with its vocabulary and merges as numbers (`tokenizer.bin`), which the farm writes beside it: a
 * quarter of a million tokens are read in a tenth of the time, without a string for each.
 *
 * Big-endian: the 4 bytes `KFT1`; the SHA-256 of the `tokenizer.json`; int32 length and the rest of that file's JSON;
 * int32 number of ids, int32 bytes of all tokens, int32 end of each token, the tokens in UTF-8 by id; int32 number of
 * merges, then int32 the left, the right and the resulting ids, best first; int32 CRC-32 of everything before.
 */
class TokenTable private constructor(
    /** Hex SHA-256 of the file that the table was made of. */
    val sourceSha256: String,
    /** What the file says, ready for use. */
    val tokenizer: Tokenizer,
) {
    private class Input(stream: InputStream) {
        private val checksum = CRC32()
        private val checked = CheckedInputStream(stream, checksum)
        private val chunk = ByteArray(CHUNK)

        fun bytes(count: Int): ByteArray = ByteArray(count).also { fill(it, count) }

        fun int(): Int = ints(1)[0]

        fun count(most: Int): Int = int().also { if (it !in 0..most) throw TokenizerUnusable("tokenizer.bin is damaged") }

        fun ints(count: Int): IntArray {
            val values = IntArray(count)
            var done = 0
            while (done < count) {
                val now = minOf(count - done, CHUNK / Int.SIZE_BYTES)
                fill(chunk, now * Int.SIZE_BYTES)
                ByteBuffer.wrap(chunk).asIntBuffer().get(values, done, now)
                done += now
            }
            return values
        }

        fun requireChecksum() {
            val wanted = checksum.value.toInt()
            if (int() != wanted) throw TokenizerUnusable("tokenizer.bin is damaged")
        }

        private fun fill(target: ByteArray, count: Int) {
            var done = 0
            while (done < count) {
                val read = checked.read(target, done, count - done)
                if (read < 0) throw TokenizerUnusable("tokenizer.bin is cut short")
                done += read
            }
        }
    }

    companion object {
        private const val MAGIC = 0x4B465431 // "KFT1"
        private const val HEX = "0123456789abcdef"
        private const val CHUNK = 1 shl 16
        private const val MAX_BYTES = 1 shl 28

        /**
         * The table of a stream, which the caller closes; its tokenizer reads special tokens in a text if
         * [readsSpecial]. Throws [TokenizerUnusable].
         */
        fun read(stream: InputStream, classes: CodePointClasses, readsSpecial: Boolean = false): TokenTable = refusing {
            val input = Input(stream)
            if (input.int() != MAGIC) throw TokenizerUnusable("tokenizer.bin is of another form")
            val source = hex(input.bytes(32))
            val rest = input.bytes(input.count(MAX_BYTES))
            val ids = input.count(SettingsReader.MAX_ID.toInt() + 1)
            val length = input.count(MAX_BYTES)
            val ends = input.ints(ids)
            if (ids == 0 || ends.last() != length || !ascend(ends)) throw TokenizerUnusable("tokenizer.bin is damaged")
            val tokens = input.bytes(length)
            val merges = input.count(MAX_BYTES / Int.SIZE_BYTES)
            val lefts = input.ints(merges)
            val rights = input.ints(merges)
            val results = input.ints(merges)
            input.requireChecksum()
            val reader = JsonReader(rest.inputStream().bufferedReader())
            val settings = SettingsReader(reader, JsonReader::skipValue, JsonReader::skipValue).read()
            val table = MergeTable(lefts, rights, results)
            val parts = TokenizerParts(settings, Vocabulary(tokens, ends), table, classes, readsSpecial)
            TokenTable(source, parts.tokenizer())
        }

        // Plain loops: an app opens its tokenizer before any of this is compiled, and a formatter alone takes 15 ms.
        private fun hex(bytes: ByteArray): String {
            val digits = StringBuilder(2 * bytes.size)
            for (byte in bytes) digits.append(HEX[byte.toInt() shr 4 and 15]).append(HEX[byte.toInt() and 15])
            return digits.toString()
        }

        private fun ascend(values: IntArray): Boolean {
            var last = 0
            for (value in values) {
                if (value < last) return false
                last = value
            }
            return true
        }
    }
}
