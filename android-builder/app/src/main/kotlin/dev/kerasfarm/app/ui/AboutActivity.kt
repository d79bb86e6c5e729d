package dev.kerasfarm.app.ui

import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.app.model.AppMetadata
import dev.kerasfarm.app.model.readMetadata
import dev.kerasfarm.generation.model.ModelInfo
import java.util.concurrent.Executors

/** Which model the app has and how good it is, and under which licences its parts come. */
class AboutActivity : ModelActivity() {
    override fun build(state: SessionState) {
        setContentView(R.layout.about)
        setUpHeader(R.string.about)
        val reader = Executors.newSingleThreadExecutor()
        reader.execute {
            val metadata = readMetadata(assets)
            runOnUiThread { if (!isDestroyed) show(state.info, metadata) }
        }
        reader.shutdown()
    }

    private fun show(info: ModelInfo?, metadata: AppMetadata) {
        val facts = findViewById<ViewGroup>(R.id.model_facts)
        if (info == null) {
            addFact(facts, getString(R.string.fact_model), getString(R.string.no_model_heading))
        } else {
            addFact(facts, getString(R.string.fact_model), info.name)
            // The path of a folder says something about another computer and nothing about the model.
            if (!info.source.startsWith("/")) addFact(facts, getString(R.string.fact_source), info.source)
            info.sourceDigest?.let { addFact(facts, getString(R.string.fact_digest), it) }
            addFact(facts, getString(R.string.fact_family), info.family)
            addFact(facts, getString(R.string.fact_recipe), info.recipe)
            addFact(facts, getString(R.string.fact_context), getString(R.string.tokens, info.context))
            addFact(facts, getString(R.string.fact_model_hash), info.modelSha256)
        }
        metadata.card?.let { card ->
            addFact(facts, getString(R.string.fact_size), getString(R.string.megabytes, card.bytes / 1e6))
            addFact(facts, getString(R.string.fact_licence), card.licence ?: getString(R.string.licence_unknown))
            val quality = findViewById<ViewGroup>(R.id.quality_facts)
            addFact(quality, getString(R.string.fact_agreement), getString(R.string.percent, card.agreement * 100))
            if (card.perplexity != null && card.kerasPerplexity != null) {
                val both = getString(R.string.perplexities, card.perplexity, card.kerasPerplexity)
                addFact(quality, getString(R.string.fact_perplexity), both)
            }
            card.logitDifference?.let {
                addFact(quality, getString(R.string.fact_difference), getString(R.string.percent, it * 100))
            }
        }
        val without = if (metadata.card == null) View.GONE else View.VISIBLE
        findViewById<View>(R.id.quality).visibility = without
        val libraries = findViewById<ViewGroup>(R.id.libraries)
        for (each in metadata.libraries) addFact(libraries, "${each.name} ${each.version}", each.licence)
        val parts = findViewById<ViewGroup>(R.id.parts)
        for (each in metadata.parts) addFact(parts, each.name, each.licence)
        findViewById<TextView>(R.id.licence_text).text = metadata.licenceText
        findViewById<TextView>(R.id.notices).text = metadata.notices
    }
}
