package dev.kerasfarm.generation.tokenizer

import android.util.JsonReader
import android.util.JsonToken
import java.io.IOException
import java.io.Reader

/**
 * Reads a `tokenizer.json` of the Hugging Face tokenizers package, as a stream: it holds a hundred thousand strings.
 *
 * What this app would compute differently is refused, never passed over.
 */
class TokenizerFile private constructor(private val json: JsonReader) {
    private val vocabulary = HashMap<String, Int>(1 shl 16)
    private val lefts = ArrayList<String>(1 shl 15)
    private val rights = ArrayList<String>(1 shl 15)
    private val special = HashSet<Int>()
    private val added = HashMap<Int, String>()
    private var splitsByGpt2 = false

    private fun build(classes: CodePointClasses, readsSpecial: Boolean): Tokenizer {
        readDocument()
        if (vocabulary.isEmpty()) throw TokenizerUnusable("tokenizer.json holds no vocabulary")
        if (!splitsByGpt2) throw TokenizerUnusable("tokenizer.json does not split by GPT-2's byte-level rules")
        val tokens = arrayOfNulls<String>(maxOf(vocabulary.values.max(), added.keys.maxOrNull() ?: 0) + 1)
        for ((token, id) in vocabulary) tokens[id] = token
        for ((id, token) in added) tokens[id] = token
        return Tokenizer(tokens, special, mergeTable(), classes, readsSpecial)
    }

    private fun readDocument() = readObject { name ->
        when (name) {
            "added_tokens" -> readArray { readAddedToken() }
            "normalizer" -> refuseUnlessNull("a normalizer")
            "pre_tokenizer" -> readPreTokenizer()
            "model" -> readModel()
            else -> json.skipValue()
        }
    }

    private fun readAddedToken() {
        var id = -1
        var content = ""
        var isSpecial = false
        readObject { name ->
            when (name) {
                "id" -> id = json.nextInt()
                "content" -> content = json.nextString()
                "special" -> isSpecial = json.nextBoolean()
                else -> json.skipValue()
            }
        }
        if (id < 0 || id > MAX_ID) throw TokenizerUnusable("tokenizer.json gives $content the id $id")
        if (!isSpecial) throw TokenizerUnusable("tokenizer.json adds the token $content, which is not special")
        special.add(id)
        added[id] = content
    }

    private fun readPreTokenizer() {
        if (json.peek() == JsonToken.NULL) return json.skipValue()
        var type = ""
        var prefixSpace = false
        var byPattern = true
        readObject { name ->
            when (name) {
                "type" -> type = json.nextString()
                "add_prefix_space" -> prefixSpace = json.nextBoolean()
                "use_regex" -> byPattern = json.nextBoolean()
                else -> json.skipValue()
            }
        }
        if (prefixSpace) throw TokenizerUnusable("tokenizer.json puts a space before the text")
        splitsByGpt2 = type == "ByteLevel" && byPattern
    }

    private fun readModel() = readObject { name ->
        when (name) {
            "type" -> {
                val type = json.nextString()
                if (type != "BPE") throw TokenizerUnusable("tokenizer.json is of the kind $type, not BPE")
            }
            "vocab" -> readObject { token -> vocabulary[token] = readId(token) }
            "merges" -> readArray { readMerge() }
            "dropout", "unk_token" -> refuseUnlessNull("a $name")
            "continuing_subword_prefix", "end_of_word_suffix" -> refuseUnlessEmpty(name)
            "byte_fallback", "ignore_merges" ->
                if (json.nextBoolean()) throw TokenizerUnusable("tokenizer.json asks for $name")
            else -> json.skipValue()
        }
    }

    private fun readId(token: String): Int {
        val id = json.nextInt()
        if (id < 0 || id > MAX_ID) throw TokenizerUnusable("tokenizer.json gives $token the id $id")
        return id
    }

    /** A merge is written as `"a b"` or as `["a", "b"]`. */
    private fun readMerge() {
        if (json.peek() == JsonToken.STRING) {
            val text = json.nextString()
            val space = text.indexOf(' ')
            if (space < 1 || space != text.lastIndexOf(' ') || space == text.length - 1) {
                throw TokenizerUnusable("tokenizer.json has the merge \"$text\", which is no pair")
            }
            lefts.add(text.substring(0, space))
            rights.add(text.substring(space + 1))
        } else {
            json.beginArray()
            lefts.add(json.nextString())
            rights.add(json.nextString())
            json.endArray()
        }
    }

    private fun mergeTable(): MergeTable {
        fun id(token: String): Int = vocabulary[token]
            ?: throw TokenizerUnusable("tokenizer.json merges $token, which is not in its vocabulary")
        val count = lefts.size
        return MergeTable(
            lefts = IntArray(count) { id(lefts[it]) },
            rights = IntArray(count) { id(rights[it]) },
            results = IntArray(count) { id(lefts[it] + rights[it]) },
        )
    }

    private fun refuseUnlessNull(what: String) {
        if (json.peek() != JsonToken.NULL) throw TokenizerUnusable("tokenizer.json asks for $what")
        json.skipValue()
    }

    private fun refuseUnlessEmpty(name: String) {
        if (json.peek() == JsonToken.STRING && json.nextString().isEmpty()) return
        refuseUnlessNull("a $name")
    }

    private inline fun readObject(field: (String) -> Unit) {
        json.beginObject()
        while (json.hasNext()) field(json.nextName())
        json.endObject()
    }

    private inline fun readArray(element: () -> Unit) {
        json.beginArray()
        while (json.hasNext()) element()
        json.endArray()
    }

    companion object {
        private const val MAX_ID = 1 shl 22

        /**
         * The tokenizer of a `tokenizer.json`, which reads special tokens in a text if [readsSpecial]; the caller closes
         * the reader. Throws [TokenizerUnusable].
         */
        fun read(reader: Reader, classes: CodePointClasses, readsSpecial: Boolean = false): Tokenizer =
            try {
                TokenizerFile(JsonReader(reader)).build(classes, readsSpecial)
            } catch (error: IOException) {
                throw TokenizerUnusable("tokenizer.json is damaged", error)
            } catch (error: IllegalStateException) {
                throw TokenizerUnusable("tokenizer.json has a value of another kind than expected", error)
            } catch (error: NumberFormatException) {
                throw TokenizerUnusable("tokenizer.json has a value of another kind than expected", error)
            }
    }
}
