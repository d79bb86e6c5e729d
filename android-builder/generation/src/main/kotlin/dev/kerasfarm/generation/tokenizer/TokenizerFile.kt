package dev.kerasfarm.generation.tokenizer

import android.util.JsonReader
import android.util.JsonToken
import java.io.IOException
import java.io.Reader

/** Reads a `tokenizer.json` of the Hugging Face tokenizers package, with its vocabulary and merges as text. */
object TokenizerFile {
    /**
     * The tokenizer of a `tokenizer.json`, which reads special tokens in a text if [readsSpecial]; the caller closes
     * the reader. Throws [TokenizerUnusable].
     */
    fun read(reader: Reader, classes: CodePointClasses, readsSpecial: Boolean = false): Tokenizer = refusing {
        val lists = TokenLists()
        val settings = SettingsReader(JsonReader(reader), lists::readVocabulary, lists::readMerges).read()
        TokenizerParts(settings, lists.vocabulary(), lists.mergeTable(), classes, readsSpecial).tokenizer()
    }
}

/** Calls [read]; what goes wrong with JSON is [TokenizerUnusable]. */
internal fun <T> refusing(read: () -> T): T =
    try {
        read()
    } catch (error: IOException) {
        throw TokenizerUnusable("tokenizer.json is damaged", error)
    } catch (error: IllegalStateException) {
        throw TokenizerUnusable("tokenizer.json has a value of another kind than expected", error)
    } catch (error: NumberFormatException) {
        throw TokenizerUnusable("tokenizer.json has a value of another kind than expected", error)
    }

private class TokenLists {
    private val ids = HashMap<String, Int>(1 shl 16)
    private val lefts = ArrayList<String>(1 shl 15)
    private val rights = ArrayList<String>(1 shl 15)

    fun vocabulary(): Vocabulary {
        if (ids.isEmpty()) throw TokenizerUnusable("tokenizer.json holds no vocabulary")
        val tokens = arrayOfNulls<String>(ids.values.max() + 1)
        for ((token, id) in ids) tokens[id] = token
        return Vocabulary.of(tokens)
    }

    fun mergeTable(): MergeTable = MergeTable.of(
        lefts = IntArray(lefts.size) { id(lefts[it]) },
        rights = IntArray(lefts.size) { id(rights[it]) },
        results = IntArray(lefts.size) { id(lefts[it] + rights[it]) },
    )

    fun readVocabulary(json: JsonReader) {
        json.beginObject()
        while (json.hasNext()) {
            val token = json.nextName()
            val id = json.nextInt()
            if (id !in 0..SettingsReader.MAX_ID) throw TokenizerUnusable("tokenizer.json gives $token the id $id")
            ids[token] = id
        }
        json.endObject()
    }

    fun readMerges(json: JsonReader) {
        json.beginArray()
        while (json.hasNext()) readMerge(json)
        json.endArray()
    }

    /** A merge is written as `"a b"` or as `["a", "b"]`. */
    private fun readMerge(json: JsonReader) {
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

    private fun id(token: String): Int =
        ids[token] ?: throw TokenizerUnusable("tokenizer.json merges $token, which is not in its vocabulary")
}
