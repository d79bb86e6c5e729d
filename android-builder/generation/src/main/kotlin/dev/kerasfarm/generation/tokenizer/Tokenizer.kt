package dev.kerasfarm.generation.tokenizer

/**
 * Byte-level byte-pair encoding: text to token ids and back.
 *
 * [tokens] are the vocabulary's strings by id (null: unused id), [special] the ids that stand for no text. Text that
 * looks like a special token is ordinary text, unless [readsSpecial].
 */
class Tokenizer(
    private val tokens: Array<String?>,
    private val special: Set<Int>,
    merges: MergeTable,
    classes: CodePointClasses,
    readsSpecial: Boolean = false,
) {
    private val spelled = if (readsSpecial) SpecialTokens(special.associateBy { tokens[it].orEmpty() }) else null
    private val scanner = PieceScanner(classes)
    private val merger = PieceMerger(merges)
    private val tokenOfByte = IntArray(256) { MISSING }

    init {
        val byteOfToken = (0..255).associateBy { ByteAlphabet.letter(it).toString() }
        tokens.forEachIndexed { id, token -> byteOfToken[token]?.let { tokenOfByte[it] = id } }
    }

    /** One more than the largest token id. */
    val size: Int get() = tokens.size

    /**
     * The token ids of [text]. Lone surrogates count as U+FFFD; bytes that the vocabulary lacks are left out, as the
     * reference tokenizer does.
     */
    fun encode(text: String): IntArray {
        val ids = IntList(text.length / 2 + 8)
        if (spelled == null) encode(text, ids) else spelled.split(text, { encode(it, ids) }, ids::add)
        return ids.toArray()
    }

    /** Appends the tokens of a text without special tokens to [ids]. */
    private fun encode(text: String, ids: IntList) {
        val codePoints = codePoints(text)
        scanner.scan(codePoints) { start, end ->
            val piece = IntArray((end - start) * 4)
            var count = 0
            for (position in start until end) count = putBytes(codePoints[position], piece, count)
            ids.addAll(piece, merger.merge(piece, count))
        }
    }

    /** The text of [ids]; bytes that are no UTF-8 become U+FFFD. */
    fun decode(ids: IntArray): String {
        val decoder = StreamDecoder(this)
        val text = StringBuilder()
        for (id in ids) text.append(decoder.push(id))
        return text.append(decoder.finish()).toString()
    }

    /** The bytes that a token stands for: none for a special token or an unused id. */
    fun bytes(id: Int): ByteArray {
        val token = tokens.getOrNull(id)
        return if (token == null || id in special) NO_BYTES else ByteAlphabet.bytes(token)
    }

    /** Appends the tokens of a code point's UTF-8 bytes to [into] at [at]; returns the new end. */
    private fun putBytes(codePoint: Int, into: IntArray, at: Int): Int = when {
        codePoint < 0x80 -> put(codePoint, into, at)
        codePoint < 0x800 -> put(continuation(codePoint, 0), into, put(0xC0 or (codePoint shr 6), into, at))
        codePoint < 0x10000 -> {
            val second = put(continuation(codePoint, 6), into, put(0xE0 or (codePoint shr 12), into, at))
            put(continuation(codePoint, 0), into, second)
        }
        else -> {
            val second = put(continuation(codePoint, 12), into, put(0xF0 or (codePoint shr 18), into, at))
            put(continuation(codePoint, 0), into, put(continuation(codePoint, 6), into, second))
        }
    }

    private fun continuation(codePoint: Int, shift: Int): Int = 0x80 or (codePoint shr shift and 0x3F)

    private fun put(byte: Int, into: IntArray, at: Int): Int {
        if (tokenOfByte[byte] == MISSING) return at
        into[at] = tokenOfByte[byte]
        return at + 1
    }

    private fun codePoints(text: String): IntArray {
        val points = IntList(text.length)
        var position = 0
        while (position < text.length) {
            val point = text.codePointAt(position)
            position += Character.charCount(point)
            points.add(if (point in 0xD800..0xDFFF) REPLACEMENT else point)
        }
        return points.toArray()
    }

    private companion object {
        const val MISSING = -1
        const val REPLACEMENT = 0xFFFD
        val NO_BYTES = ByteArray(0)
    }
}
