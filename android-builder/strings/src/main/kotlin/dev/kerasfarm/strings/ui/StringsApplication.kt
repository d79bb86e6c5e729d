package dev.kerasfarm.strings.ui

import android.app.Application
import android.content.res.AssetManager
import android.os.Handler
import android.os.Looper
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.filter.readWords
import dev.kerasfarm.strings.engine.InterpreterRunner
import dev.kerasfarm.strings.engine.StringsInfo
import dev.kerasfarm.strings.engine.TextWriter
import org.json.JSONObject
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.nio.channels.FileChannel

private const val MODEL = "autocomplete.tflite"
private const val MODEL_INFO = "model-info.json"
private const val APP_SETTINGS = "app-settings.json"
private const val WORD_LISTS = "filter"
private const val MOST_THREADS = 4

/** Holds the work for as long as the process lives: a screen that is turned does not stop it. */
class StringsApplication : Application() {
    /** The one work of the process. */
    val work: Work by lazy {
        val main = Handler(Looper.getMainLooper())
        Work({ openModel(assets) }, { openFilter(assets) }, { main.post(it) })
    }
}

/** The package's model; takes seconds and must not run on the main thread. */
private fun openModel(assets: AssetManager): OpenModel {
    val info = StringsInfo.parse(assets.open(MODEL_INFO).bufferedReader().use { it.readText() })
    val mapped = assets.openFd(MODEL).use { asset ->
        FileInputStream(asset.fileDescriptor).use {
            it.channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.length)
        }
    }
    val threads = Runtime.getRuntime().availableProcessors().coerceIn(1, MOST_THREADS)
    return OpenModel(info, TextWriter(InterpreterRunner(mapped, threads), info.promptBytes))
}

/** The filter of the package's word lists; null when the job switched it off, and only then. */
private fun openFilter(assets: AssetManager): WordFilter? {
    val settings = try {
        assets.open(APP_SETTINGS).bufferedReader().use { JSONObject(it.readText()) }
    } catch (_: FileNotFoundException) {
        JSONObject() // a package that was put together by hand
    }
    if (!settings.optBoolean("filter", true)) return null
    val lists = assets.list(WORD_LISTS).orEmpty().map { "$WORD_LISTS/$it" }
    return WordFilter(lists.flatMap { list -> assets.open(list).bufferedReader().use { readWords(it) } })
}
