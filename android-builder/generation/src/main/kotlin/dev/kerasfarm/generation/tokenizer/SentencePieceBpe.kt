package dev.kerasfarm.generation.tokenizer

import java.io.ByteArrayOutputStream

/**
 * Byte-pair encoding over characters, as SentencePiece does it: blanks are written as U+2581, the whole text between
 * added tokens merges, and a character without a token becomes the tokens of its UTF-8 bytes.
 */
internal class SentencePieceBpe(private val parts: TokenizerParts) : Tokenizer {
    private val merger = PieceMerger(parts.merges)
    private val prefix = readPrefix(parts.settings)
    private val strips = readStrip(parts.settings)
    private val unknown = parts.settings.unknown?.let { parts.vocabulary.find(it) } ?: Vocabulary.MISSING
    private val tokenOfByte = IntArray(256) { parts.vocabulary.find(byteToken(it)) }
    private val tokenOfCharacter = HashMap<Int, Int>()

    init {
        if (!parts.settings.fusesUnknown) throw TokenizerUnusable("tokenizer.json has byte_fallback without fuse_unk")
        val lacking = tokenOfByte.indexOf(Vocabulary.MISSING)
        if (lacking >= 0) throw TokenizerUnusable("tokenizer.json lacks the token ${byteToken(lacking)}")
    }

    override val size: Int get() = parts.size

    override fun encode(text: String): IntArray {
        val ids = IntList(text.length / 2 + 8)
        parts.sections(text, ids) { section, isFirst -> encode(prefix.apply(section, isFirst), ids) }
        return ids.toArray()
    }

    override fun encodeLiteral(text: String, begins: Boolean): IntArray {
        val ids = IntList(text.length / 2 + 8)
        parts.sections(text, ids, special = false, begins = begins) { section, isFirst ->
            encode(prefix.apply(section, isFirst), ids)
        }
        return ids.toArray()
    }

    private fun encode(section: String, ids: IntList) {
        val tokens = IntList(section.length + 8)
        for (point in codePoints(section)) {
            val token = tokenOfCharacter.getOrPut(point) { parts.vocabulary.find(String(Character.toChars(point))) }
            if (token != Vocabulary.MISSING) {
                tokens.add(token)
            } else {
                for (byte in String(Character.toChars(point)).toByteArray()) tokens.add(tokenOfByte[byte.toInt() and 0xFF])
            }
        }
        val merged = tokens.toArray()
        ids.addAll(merged, merger.merge(merged, merged.size))
    }

    override fun decoder(continues: Boolean): StreamDecoder = Decoder(strips && !continues)

    /**
     * Bytes that follow each other are held until another token ends them: as the reference does, all of them become
     * U+FFFD when they are no UTF-8 together.
     */
    private inner class Decoder(private var strips: Boolean) : StreamDecoder {
        private val bytes = ByteArrayOutputStream()

        override fun push(id: Int): String {
            val printed = parts.printed(id) ?: return ""
            val byte = byteOf(printed)
            if (byte >= 0) {
                bytes.write(byte)
                return ""
            }
            return shown(held() + printed.replace(BLANK, ' '))
        }

        override fun finish(): String = shown(held())

        private fun held(): String {
            if (bytes.size() == 0) return ""
            val run = bytes.toByteArray()
            bytes.reset()
            val text = StringBuilder()
            val decoder = Utf8Decoder()
            decoder.push(run, text)
            decoder.finish(text)
            // No sequence of these bytes spells U+FFFD but its own three.
            val whole = text.toString()
            return if (whole.toByteArray().contentEquals(run)) whole else "\uFFFD".repeat(run.size)
        }

        private fun shown(text: String): String {
            if (!strips || text.isEmpty()) return text
            strips = false
            return text.removePrefix(" ")
        }
    }

    private companion object {
        const val BLANK = '\u2581'

        const val HEX = "0123456789ABCDEF"

        // Without a formatter, whose first use takes longer than all the rest.
        fun byteToken(byte: Int): String = "<0x${HEX[byte shr 4]}${HEX[byte and 15]}>"

        /** The byte of a token like `<0x0A>`, or -1. */
        fun byteOf(token: String): Int {
            if (token.length != 6 || !token.startsWith("<0x") || token[5] != '>') return -1
            return token.substring(3, 5).toIntOrNull(16)?.takeIf { token[3] != '-' && token[3] != '+' } ?: -1
        }
    }
}
