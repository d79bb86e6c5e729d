package dev.kerasfarm.app.ui

import android.content.res.AssetManager
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.openWordFilter
import org.json.JSONObject
import java.io.FileNotFoundException

private const val APP_SETTINGS = "app-settings.json"

/** The filter of the package's word lists; null when the job switched it off, and only then. */
fun openFilter(assets: AssetManager): WordFilter? {
    val settings = try {
        assets.open(APP_SETTINGS).bufferedReader().use { JSONObject(it.readText()) }
    } catch (_: FileNotFoundException) {
        JSONObject() // a package that was put together by hand
    }
    if (!settings.optBoolean("filter", true)) return null
    return openWordFilter(assets)
}
