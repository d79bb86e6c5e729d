package dev.kerasfarm.app.ui

import android.content.res.AssetManager
import dev.kerasfarm.app.engine.BigCores
import dev.kerasfarm.app.engine.LanguageModel
import dev.kerasfarm.app.engine.ModelRegion
import dev.kerasfarm.app.filter.WordFilter
import dev.kerasfarm.app.filter.readWords
import dev.kerasfarm.app.generation.AppModel
import dev.kerasfarm.app.generation.TokenizerMissing
import dev.kerasfarm.app.model.ModelInfo
import dev.kerasfarm.app.tokenizer.CodePointClasses
import dev.kerasfarm.app.tokenizer.Tokenizer
import dev.kerasfarm.app.tokenizer.TokenizerFile
import org.json.JSONObject
import java.io.FileInputStream
import java.io.FileNotFoundException

private const val MODEL = "autocomplete.tflite"
private const val MODEL_INFO = "model-info.json"
private const val TOKENIZER = "tokenizer.json"
private const val APP_SETTINGS = "app-settings.json"
private const val WORD_LISTS = "filter"
private const val CLASSES = "unicode-classes.bin"

/** Opens the model that the farm put into the app; takes a second or so and must not run on the main thread. */
fun openModel(assets: AssetManager): AppModel {
    val info = ModelInfo.parse(assets.open(MODEL_INFO).bufferedReader().use { it.readText() })
    if (info.tokenizer != ModelInfo.BYTE_LEVEL_BPE) throw TokenizerMissing()
    val tokenizer = openTokenizer(assets)
    val model = assets.openFd(MODEL).use { asset ->
        val channel = FileInputStream(asset.fileDescriptor).channel
        LanguageModel.open(ModelRegion(channel, asset.startOffset, asset.length), BigCores.threads())
    }
    return AppModel(info, tokenizer, model)
}

/** The filter of the package's word lists; null when the job switched it off, and only then. */
fun openFilter(assets: AssetManager): WordFilter? {
    val settings = try {
        assets.open(APP_SETTINGS).bufferedReader().use { JSONObject(it.readText()) }
    } catch (_: FileNotFoundException) {
        JSONObject() // a package that was put together by hand
    }
    if (!settings.optBoolean("filter", true)) return null
    val lists = assets.list(WORD_LISTS).orEmpty().map { "$WORD_LISTS/$it" }
    return WordFilter(lists.flatMap { list -> assets.open(list).bufferedReader().use { readWords(it) } })
}

private fun openTokenizer(assets: AssetManager): Tokenizer {
    val classes = assets.open(CLASSES).use { CodePointClasses.read(it) }
    return assets.open(TOKENIZER).bufferedReader().use { TokenizerFile.read(it, classes) }
}
