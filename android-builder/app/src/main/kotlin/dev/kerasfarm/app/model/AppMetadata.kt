package dev.kerasfarm.app.model

import android.content.res.AssetManager
import org.json.JSONObject
import java.io.FileNotFoundException

private const val CARD = "model-card.json"
private const val LICENCES = "licences.json"
private const val LICENCE_TEXT = "licence-apache-2.0.txt"
private const val NOTICES = "notices.txt"
private const val FULL_LINE = 55 // letters
private val RULE = Regex("[-=]{5,}")
private val NAMES = Regex("Copyright \\(?[cC\\d]")

/**
 * How good the farm found the model to be beside Keras; [bytes] is the size of its file, [licence] what its own metadata
 * say, [agreement] the share of greedy steps that go Keras's way, [logitDifference] the largest as a share of the largest
 * logit. Null is what was not measured: a model that shows only text can't be asked for the figures [onText].
 */
data class ModelCard(
    val bytes: Long,
    val licence: String?,
    val agreement: Double,
    val logitDifference: Double?,
    val onText: TextFigures?,
    val repetition: Repetition?,
)

/**
 * What the farm measured on its texts: [divergence] from Keras in nats, the mean over all positions and
 * [mostDivergence], which 99 of 100 stay below; [sameBest], the share of positions at which both hold the same token to be
 * the likeliest; perplexities per token, and the standard error of their ratio.
 */
data class TextFigures(
    val divergence: Double,
    val mostDivergence: Double,
    val sameBest: Double,
    val perplexity: Double,
    val kerasPerplexity: Double,
    val ratioError: Double,
)

/** Which share of a long text that the model wrote freely was there before, and of the one that Keras wrote. */
data class Repetition(val own: Double, val keras: Double)

/** A library in the app, or, without a [version], a part of the first one's native code. */
data class Library(val name: String, val version: String?, val licence: String)

/**
 * What goes with the app: [card] is null for a package that was put together by hand. [licenceText] is the Apache
 * License, [notices] are the licences of the [parts] that have another one.
 */
data class AppMetadata(
    val card: ModelCard?,
    val libraries: List<Library>,
    val parts: List<Library>,
    val licenceText: String,
    val notices: String,
)

/** Reads the package's metadata; not on the main thread. */
fun readMetadata(assets: AssetManager): AppMetadata {
    val licences = JSONObject(read(assets, LICENCES))
    return AppMetadata(
        card = try {
            card(JSONObject(read(assets, CARD)))
        } catch (_: FileNotFoundException) {
            null
        },
        libraries = libraries(licences, "libraries"),
        parts = libraries(licences, "parts"),
        licenceText = flowing(read(assets, LICENCE_TEXT)),
        notices = flowing(read(assets, NOTICES)),
    )
}

private fun read(assets: AssetManager, name: String): String = assets.open(name).bufferedReader().use { it.readText() }

/**
 * A licence as a screen of any width shows it: lines that were broken because they were full are one line again. What
 * stood before them, spaces or a comment's mark, and rules below headings are left out.
 */
private fun flowing(text: String): String {
    val lines = text.lines().map { it.trim().removePrefix("//").trim() }.filterNot { RULE.matches(it) }
    val flowing = StringBuilder()
    for ((line, next) in lines.zip(lines.drop(1) + "")) {
        val goesOn = line.length >= FULL_LINE && next.isNotEmpty() && listOf(line, next).none { NAMES.matchesAt(it, 0) }
        flowing.append(line).append(if (goesOn) " " else "\n")
    }
    return flowing.trim().toString()
}

private fun card(json: JSONObject) = ModelCard(
    bytes = json.getLong("model_bytes"),
    licence = if (json.isNull("licence")) null else json.getString("licence"),
    agreement = json.getDouble("greedy_agreement"),
    logitDifference = figure(json, "logit_difference"),
    onText = if (json.isNull("divergence")) null else textFigures(json),
    repetition = figure(json, "repetition")?.let { Repetition(it, json.getDouble("keras_repetition")) },
)

private fun textFigures(json: JSONObject) = TextFigures(
    divergence = json.getDouble("divergence"),
    mostDivergence = json.getDouble("divergence_p99"),
    sameBest = json.getDouble("top1_agreement"),
    perplexity = json.getDouble("perplexity"),
    kerasPerplexity = json.getDouble("keras_perplexity"),
    ratioError = json.getDouble("perplexity_ratio_error"),
)

private fun figure(json: JSONObject, name: String): Double? = if (json.isNull(name)) null else json.getDouble(name)

private fun libraries(json: JSONObject, key: String): List<Library> {
    val list = json.getJSONArray(key)
    return (0 until list.length()).map { list.getJSONObject(it) }.map {
        val version = if (it.has("version")) it.getString("version") else null
        Library(it.getString("name"), version, it.getString("licence"))
    }
}
