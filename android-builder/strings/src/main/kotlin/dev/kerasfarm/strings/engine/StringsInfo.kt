package dev.kerasfarm.strings.engine

import org.json.JSONException
import org.json.JSONObject

/**
 * What the farm wrote down about a model that takes strings (`model-info.json`). [promptBytes]: the longest prompt that
 * it answers; [outputTokens]: the longest answer.
 */
data class StringsInfo(val name: String, val recipe: String, val promptBytes: Int, val outputTokens: Int) {
    companion object {
        const val FORMAT = 1
        const val IO_MODE = "strings"

        /** Reads the JSON text; throws [ModelUnusable] when it is damaged or of a model of another I/O mode. */
        fun parse(text: String): StringsInfo =
            try {
                read(JSONObject(text))
            } catch (error: JSONException) {
                throw ModelUnusable("model-info.json is damaged: ${error.message}", error)
            }

        private fun read(json: JSONObject): StringsInfo {
            val format = json.getInt("format")
            if (format != FORMAT) throw ModelUnusable("model-info.json has the format $format, not $FORMAT")
            val ioMode = json.getString("io_mode")
            if (ioMode !=
                IO_MODE
            ) {
                throw ModelUnusable("it is of the I/O mode $ioMode, and this app is for the I/O mode $IO_MODE")
            }
            return StringsInfo(
                json.getString("name"),
                json.getString("recipe"),
                json.getInt("prompt_bytes"),
                json.getInt("output_tokens"),
            )
        }
    }
}
