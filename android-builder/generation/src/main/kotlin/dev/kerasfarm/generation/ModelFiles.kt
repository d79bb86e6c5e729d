package dev.kerasfarm.generation

import android.content.res.AssetManager
import dev.kerasfarm.generation.ModelRefused.Reason
import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.TokenizerMissing
import dev.kerasfarm.generation.engine.CpuThreads
import dev.kerasfarm.generation.engine.LanguageModel
import dev.kerasfarm.generation.engine.ModelRegion
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.filter.readWords
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.ModelInfoUnusable
import dev.kerasfarm.generation.tokenizer.CodePointClasses
import dev.kerasfarm.generation.tokenizer.TokenTable
import dev.kerasfarm.generation.tokenizer.Tokenizer
import dev.kerasfarm.generation.tokenizer.TokenizerFile
import dev.kerasfarm.generation.tokenizer.TokenizerUnusable
import java.io.File
import java.io.FileInputStream
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.security.MessageDigest

private const val MODEL = "autocomplete.tflite"
private const val MODEL_INFO = "model-info.json"
private const val TOKENIZER = "tokenizer.json"
private const val TOKEN_TABLE = "tokenizer.bin"
private const val CLASSES = "unicode-classes.bin"
private const val WORD_LISTS = "filter"

/** Where a model's files lie, or the library's own: an app's assets, or a folder. */
internal interface ModelFiles {
    fun open(name: String): InputStream

    /** The names of the files in a folder; empty when there is none. */
    fun list(folder: String): List<String>

    /** Calls [use] with where the model's bytes lie. */
    fun <T> region(name: String, use: (ModelRegion) -> T): T
}

/** The assets of an app, in which the model is stored without compression. */
internal class AssetFiles(private val assets: AssetManager) : ModelFiles {
    override fun open(name: String): InputStream = assets.open(name)

    override fun list(folder: String): List<String> = assets.list(folder).orEmpty().toList()

    override fun <T> region(name: String, use: (ModelRegion) -> T): T = assets.openFd(name).use { asset ->
        use(ModelRegion(FileInputStream(asset.fileDescriptor).channel, asset.startOffset, asset.length))
    }
}

/** A folder with the names of the assets. */
internal class FolderFiles(private val folder: File) : ModelFiles {
    override fun open(name: String): InputStream = File(folder, name).inputStream()

    override fun list(folder: String): List<String> = File(this.folder, folder).list().orEmpty().toList()

    override fun <T> region(name: String, use: (ModelRegion) -> T): T =
        RandomAccessFile(File(folder, name), "r").use { use(ModelRegion(it.channel, 0, it.length())) }
}

/** The model is not there: [missing] is the file that is not among the package's assets or in the folder. */
internal class ModelMissing(val missing: String) : Exception("there is no file $missing")

/**
 * What the farm wrote down about an app's model; a moment's work, where opening the model takes a second.
 *
 * @throws ModelRefused with a sentence when there is no model or the description is unusable.
 */
@Throws(ModelRefused::class)
fun readModelInfo(assets: AssetManager): ModelInfo = refusing { readModelInfo(AssetFiles(assets)) }

/** Turns what can go wrong with a model's files into [ModelRefused]. */
internal fun <T> refusing(work: () -> T): T =
    try {
        work()
    } catch (error: ModelMissing) {
        throw ModelRefused(Reason.MISSING, error.missing, error)
    } catch (error: TokenizerMissing) {
        throw ModelRefused(Reason.NO_TOKENIZER, error.message.orEmpty(), error)
    } catch (error: LinkageError) {
        throw ModelRefused(Reason.NO_RUNTIME, error.message.orEmpty(), error)
    } catch (error: ModelUnusable) {
        throw ModelRefused(Reason.UNUSABLE, error.message.orEmpty(), error)
    } catch (error: ModelInfoUnusable) {
        throw ModelRefused(Reason.UNUSABLE, error.message.orEmpty(), error)
    } catch (error: TokenizerUnusable) {
        throw ModelRefused(Reason.UNUSABLE, error.message.orEmpty(), error)
    } catch (error: IOException) {
        throw ModelRefused(Reason.UNUSABLE, "a file of the model cannot be read (${error.message})", error)
    }

internal fun readModelInfo(files: ModelFiles): ModelInfo {
    val present = files.list("").toSet()
    listOf(MODEL, MODEL_INFO).firstOrNull { it !in present }?.let { throw ModelMissing(it) }
    val info = ModelInfo.parse(files.open(MODEL_INFO).bufferedReader().use { it.readText() })
    if (info.tokenizer != null && TOKENIZER !in present) throw ModelMissing(TOKENIZER)
    return info
}

/** Opens the model of [files]; [library] has what belongs to the library. */
internal fun openModel(files: ModelFiles, library: ModelFiles, info: ModelInfo = readModelInfo(files)): AppModel {
    if (info.tokenizer !in ModelInfo.TOKENIZERS) throw TokenizerMissing()
    val classes = library.open(CLASSES).use { CodePointClasses.read(it) }
    val tokenizer = openTokenizer(files, classes, info)
    return AppModel(info, tokenizer, files.region(MODEL) { LanguageModel.open(it, CpuThreads.threads(), info.context) })
}

/** The tokenizer of the table that the farm made of the file, or else of the file itself. */
private fun openTokenizer(files: ModelFiles, classes: CodePointClasses, info: ModelInfo): Tokenizer {
    if (TOKEN_TABLE in files.list("")) {
        val table = files.open(TOKEN_TABLE).use { TokenTable.read(it, classes, info.readsSpecial) }
        requireSame(table.sourceSha256, info)
        return table.tokenizer
    }
    val content = files.open(TOKENIZER).use { it.readBytes() }
    requireSame(MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }, info)
    return content.inputStream().bufferedReader().use { TokenizerFile.read(it, classes, info.readsSpecial) }
}

/** Another model's tokenizer may have as many tokens, and the model would write nonsense: only the hash tells. */
private fun requireSame(found: String, info: ModelInfo) {
    if (found != info.tokenizerSha256) throw ModelUnusable("its tokenizer is not the one that it was made with")
}

internal fun openWordFilter(library: ModelFiles): WordFilter {
    val lists = library.list(WORD_LISTS).sorted().map { "$WORD_LISTS/$it" }
    return WordFilter(lists.flatMap { list -> library.open(list).bufferedReader().use { readWords(it) } })
}
