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
            assertTrue(words.any { it.endsWith(" %") })
            assertTrue(words.any { it.contains("in Keras") })
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

    private fun words(view: View): List<String> = when (view) {
        is ViewGroup -> (0 until view.childCount).flatMap { words(view.getChildAt(it)) }
        is TextView -> listOf(view.text.toString())
        else -> listOf()
    }
}
