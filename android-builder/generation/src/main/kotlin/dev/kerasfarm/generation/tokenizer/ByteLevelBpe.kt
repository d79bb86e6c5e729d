package dev.kerasfarm.generation.tokenizer

/**
 * Byte-pair encoding over bytes: a text is split into pieces, and inside of each the letters of its UTF-8 bytes merge.
 * Bytes that the vocabulary lacks are left out, as the reference tokenizer does.
 */
internal class ByteLevelBpe(private val parts: TokenizerParts) : Tokenizer {
    private val steps = SplitSteps(parts.classes).read(parts.settings.preTokenizer)
    private val merger = PieceMerger(parts.merges)
    private val tokenOfLetter = IntArray(LETTERS) { parts.vocabulary.find(it.toChar().toString()) }

    init {
        if (parts.settings.unknown != null) throw TokenizerUnusable("tokenizer.json asks for an unk_token")
        val decoder = parts.settings.decoder?.get("type")
        if (decoder != "ByteLevel") throw TokenizerUnusable("tokenizer.json prints tokens by $decoder, not by ByteLevel")
    }

    override val size: Int get() = parts.size

    override fun encode(text: String): IntArray {
        val ids = IntList(text.length / 2 + 8)
        parts.sections(text, ids) { section, _ -> encode(section, ids) }
        return ids.toArray()
    }

    override fun encodeLiteral(text: String, begins: Boolean): IntArray {
        val ids = IntList(text.length / 2 + 8)
        parts.sections(text, ids, special = false, begins = begins) { section, _ -> encode(section, ids) }
        return ids.toArray()
    }

    override fun decoder(continues: Boolean): StreamDecoder = object : StreamDecoder {
        private val bytes = Utf8Decoder()

        override fun push(id: Int): String = text { into ->
            parts.printed(id)?.let { bytes.push(ByteAlphabet.bytes(it), into) }
        }

        override fun finish(): String = text { bytes.finish(it) }
    }

    private fun text(write: (StringBuilder) -> Unit): String = StringBuilder().also(write).toString()

    private fun encode(section: String, ids: IntList) {
        val pieces = steps.fold(Pieces.whole(codePoints(section))) { so, step -> step.split(so) }
        pieces.forEach { start, end ->
            val whole = if (parts.settings.ignoresMerges) wholePiece(pieces.points, start, end) else Vocabulary.MISSING
            if (whole != Vocabulary.MISSING) ids.add(whole) else merge(pieces.points, start, end, ids)
        }
    }

    private fun merge(letters: IntArray, start: Int, end: Int, ids: IntList) {
        val tokens = IntArray(end - start)
        var count = 0
        for (position in start until end) {
            val token = tokenOfLetter[letters[position]]
            if (token != Vocabulary.MISSING) tokens[count++] = token
        }
        ids.addAll(tokens, merger.merge(tokens, count))
    }

    private fun wholePiece(letters: IntArray, start: Int, end: Int): Int {
        val written = ByteArray((end - start) * 2)
        var length = 0
        for (position in start until end) {
            val letter = letters[position]
            if (letter < 0x80) {
                written[length++] = letter.toByte()
            } else {
                written[length++] = (0xC0 or (letter shr 6)).toByte()
                written[length++] = (0x80 or (letter and 0x3F)).toByte()
            }
        }
        return parts.vocabulary.find(written, length)
    }

    private companion object {
        /** The letters of bytes lie below. */
        const val LETTERS = 0x200
    }
}
