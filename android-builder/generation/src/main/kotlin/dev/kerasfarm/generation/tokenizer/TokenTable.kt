package dev.kerasfarm.generation.tokenizer

import android.util.JsonReader
import java.io.InputStream
import java.nio.ByteBuffer
import java.util.zip.CRC32
import java.util.zip.CheckedInputStream

/**
 * A `tokenizer.json` with its tokens and merges as numbers (`tokenizer.bin`), which the farm writes beside it: ready for
 * use as it lies there, so that a quarter of a million tokens take a fraction of the time, without a string for each.
 *
 * Big-endian: the 4 bytes `KFT2`; the SHA-256 of the `tokenizer.json`; int32 length and the rest of that file's JSON.
 * The added tokens: int32 their number, int32 each one's id, then how they are written and a byte of flags each
 * ([Flag]). The vocabulary: int32 number of ids, how they are written, the slots of [Vocabulary]. The merges: int32
 * their number, and the four lists of [MergeTable]. At last int32 CRC-32 of everything before. How tokens are written:
 * int32 bytes of all of them, int32 the end of each, and the bytes.
 */
class TokenTable private constructor(
    /** Hex SHA-256 of the file that the table was made of. */
    val sourceSha256: String,
    /** What the file says, ready for use. */
    val tokenizer: Tokenizer,
) {
    /** What is said of an added token, from the lowest bit on. */
    private enum class Flag { SINGLE_WORD, STRIPS_LEFT, STRIPS_RIGHT, NORMALIZED, SPECIAL }

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

        /** How [count] tokens are written: the end of each, and the bytes of all. */
        fun written(count: Int): Pair<IntArray, ByteArray> {
            val length = count(MAX_BYTES)
            val ends = ints(count)
            if (length != (ends.lastOrNull() ?: 0) || !ascend(ends)) throw TokenizerUnusable("tokenizer.bin is damaged")
            return Pair(ends, bytes(length))
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
        private const val MAGIC = 0x4B465432 // "KFT2"
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
            val added = addedTokens(input)
            val ids = input.count(SettingsReader.MAX_ID.toInt() + 1)
            if (ids == 0) throw TokenizerUnusable("tokenizer.bin is damaged")
            val (ends, tokens) = input.written(ids)
            val vocabulary = Vocabulary(tokens, ends, input.ints(Vocabulary.slotsOf(ids)))
            val merges = input.count(MAX_BYTES / Int.SIZE_BYTES)
            val starts = input.ints(ids + 1)
            if (starts.last() != merges) throw TokenizerUnusable("tokenizer.bin is damaged")
            val table = MergeTable(starts, input.ints(merges), input.ints(merges), input.ints(merges))
            input.requireChecksum()
            val reader = JsonReader(rest.inputStream().bufferedReader())
            val settings = SettingsReader(reader, JsonReader::skipValue, JsonReader::skipValue, added).read()
            TokenTable(source, TokenizerParts(settings, vocabulary, table, classes, readsSpecial).tokenizer())
        }

        private fun addedTokens(input: Input): List<AddedToken> {
            val count = input.count(SettingsReader.MAX_ID.toInt() + 1)
            val ids = input.ints(count)
            val (ends, bytes) = input.written(count)
            val flags = input.bytes(count)
            val tokens = ArrayList<AddedToken>(count)
            var start = 0
            for (index in 0 until count) {
                val content = String(bytes, start, ends[index] - start, Charsets.UTF_8)
                start = ends[index]
                fun has(flag: Flag) = flags[index].toInt() shr flag.ordinal and 1 == 1
                if (has(Flag.SINGLE_WORD)) throw TokenizerUnusable("tokenizer.json adds $content as a single_word")
                tokens += AddedToken(
                    id = ids[index],
                    content = content,
                    stripsLeft = has(Flag.STRIPS_LEFT),
                    stripsRight = has(Flag.STRIPS_RIGHT),
                    normalized = has(Flag.NORMALIZED),
                    special = has(Flag.SPECIAL),
                )
            }
            return tokens
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
