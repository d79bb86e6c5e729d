package dev.kerasfarm.generation.decoding

import android.content.res.AssetManager
import dev.kerasfarm.generation.engine.BigCores
import dev.kerasfarm.generation.engine.LanguageModel
import dev.kerasfarm.generation.engine.ModelRegion
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.tokenizer.CodePointClasses
import dev.kerasfarm.generation.tokenizer.Tokenizer
import dev.kerasfarm.generation.tokenizer.TokenizerFile
import java.io.FileInputStream

private const val MODEL = "autocomplete.tflite"
private const val MODEL_INFO = "model-info.json"
private const val TOKENIZER = "tokenizer.json"
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

private fun openTokenizer(assets: AssetManager): Tokenizer {
    val classes = assets.open(CLASSES).use { CodePointClasses.read(it) }
    return assets.open(TOKENIZER).bufferedReader().use { TokenizerFile.read(it, classes) }
}
