package dev.kerasfarm.app.ui

import android.content.res.AssetManager
import org.json.JSONObject
import java.io.FileNotFoundException

private const val APP_SETTINGS = "app-settings.json"

/** Whether the app filters words; not when the job switched it off, and only then. */
fun isFiltered(assets: AssetManager): Boolean {
    val settings = try {
        assets.open(APP_SETTINGS).bufferedReader().use { JSONObject(it.readText()) }
    } catch (_: FileNotFoundException) {
        JSONObject() // a package that was put together by hand
    }
    return settings.optBoolean("filter", true)
}
