package dev.kerasfarm.app

import android.content.Intent
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import dev.kerasfarm.app.ui.AboutActivity
import dev.kerasfarm.app.ui.MeasureActivity
import dev.kerasfarm.screens.await
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf
import java.io.File

class MetadataScreenTest : AppTest() {
    @Test
    fun aboutTellsWhichModelItIsHowGoodAndUnderWhichLicences() {
        open(mode = null)
        val info = session.state.info!!
        screen(AboutActivity::class.java) { screen ->
            await("the metadata") { screen.findViewById<TextView>(R.id.licence_text).length() > 0 }
            val words = words(screen.findViewById(R.id.root))
            for (said in listOf(info.name, info.modelSha256, info.recipe, "Kotlin standard library 2", "XNNPACK")) {
                assertTrue("$said in $words", words.any { it.contains(said) })
            }
            assertEquals("$words", !info.source.startsWith("/"), info.source in words)
            requireFigures(words, JSONObject(app.assets.open("model-card.json").bufferedReader().use { it.readText() }))
            val apache = screen.findViewById<TextView>(R.id.licence_text).text.lines()
            assertEquals(listOf("Apache License", "Version 2.0, January 2004"), apache.take(2))
            assertTrue(apache.any { it.startsWith("\"Licensor\" shall mean") && it.endsWith("granting the License.") })
            // One licence that must be shown with the code, and one that must say where the sources are.
            val notices = screen.findViewById<TextView>(R.id.notices).text
            assertTrue("Copyright 2019 Google LLC" in notices)
            assertTrue("https://gitlab.com/libeigen/eigen" in notices)
        }
    }

    @Test
    fun measuringGivesFiguresThatCanBeShared() {
        open(mode = null)
        screen(MeasureActivity::class.java) { screen ->
            assertEquals(View.GONE, screen.findViewById<View>(R.id.share).visibility)
            screen.findViewById<View>(R.id.start).performClick()
            await("the figures") { screen.findViewById<View>(R.id.share).visibility == View.VISIBLE }
            assertTrue(screen.findViewById<ViewGroup>(R.id.figures).childCount >= 2)
            screen.findViewById<View>(R.id.share).performClick()
            val chooser = shadowOf(screen).nextStartedActivity
            val shared = chooser.getParcelableExtra(Intent.EXTRA_INTENT, Intent::class.java)!!
            assertEquals(Intent.ACTION_SEND, shared.action)
            val text = shared.getStringExtra(Intent.EXTRA_TEXT)!!
            val json = JSONObject(text)
            assertEquals(session.state.info!!.modelSha256, json.getString("model_sha256"))
            assertTrue(json.getDouble("tokens_per_second") > 0)
            assertTrue(json.getDouble("first_token_seconds") > 0)
            // What the farm must be able to take in.
            File(System.getProperty("pictures")).apply { mkdirs() }.resolve("measurement.json").writeText(text)
        }
    }

    /** The figures of the card stand on the screen, each behind its name. */
    private fun requireFigures(words: List<String>, card: JSONObject) {
        fun figure(name: String, form: String, factor: Double = 1.0) = form.format(card.getDouble(name) * factor)
        fun percent(name: String) = figure(name, "%.1f %%", 100.0)
        val ratio = "%.4f".format(card.getDouble("perplexity") / card.getDouble("keras_perplexity"))
        val perplexities = listOf(
            figure("perplexity", "%.2f"),
            figure("keras_perplexity", "Keras %.2f"),
            "$ratio ± ${figure("perplexity_ratio_error", "%.4f")}",
        )
        val expected = mapOf(
            R.string.fact_agreement to listOf(percent("greedy_agreement")),
            R.string.fact_same_best to listOf(percent("top1_agreement")),
            R.string.fact_divergence to listOf(figure("divergence", "%.5f nats"), figure("divergence_p99", "%.5f at")),
            R.string.fact_perplexity to perplexities,
            R.string.fact_repetition to listOf(percent("repetition"), "Keras ${percent("keras_repetition")}"),
            R.string.fact_difference to listOf(percent("logit_difference")),
        )
        for ((name, figures) in expected) {
            val shown = words[words.indexOf(app.getString(name)) + 1]
            for (said in figures) assertTrue("$said in $shown", said in shown)
        }
    }

    private fun words(view: View): List<String> = when (view) {
        is ViewGroup -> (0 until view.childCount).flatMap { words(view.getChildAt(it)) }
        is TextView -> listOf(view.text.toString())
        else -> listOf()
    }
}
