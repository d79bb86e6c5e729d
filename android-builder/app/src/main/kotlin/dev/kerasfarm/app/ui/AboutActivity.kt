package dev.kerasfarm.app.ui

import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.SessionState
import dev.kerasfarm.app.model.AppMetadata
import dev.kerasfarm.app.model.ModelCard
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
            showQuality(card)
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

    private fun showQuality(card: ModelCard) {
        val quality = findViewById<ViewGroup>(R.id.quality_facts)
        fun add(name: Int, value: String) = addFact(quality, getString(name), value)
        fun percent(share: Double) = getString(R.string.percent, share * 100)
        add(R.string.fact_agreement, percent(card.agreement))
        card.onText?.let {
            add(R.string.fact_same_best, percent(it.sameBest))
            add(R.string.fact_divergence, getString(R.string.divergences, it.divergence, it.mostDivergence))
            val ratio = it.perplexity / it.kerasPerplexity
            val both = getString(R.string.perplexities, it.perplexity, it.kerasPerplexity, ratio, it.ratioError)
            add(R.string.fact_perplexity, both)
        }
        card.repetition?.let {
            val both = getString(R.string.repetitions, it.own * 100, it.keras * 100)
            add(R.string.fact_repetition, both)
        }
        card.logitDifference?.let { add(R.string.fact_difference, percent(it)) }
    }
}
