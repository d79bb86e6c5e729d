package dev.kerasfarm.generation.tokenizer

private const val BLANK = "\u2581"
private val TO_BLANK = mapOf("type" to "Replace", "pattern" to mapOf("String" to " "), "content" to BLANK)
private val FROM_BLANK = mapOf("type" to "Replace", "pattern" to mapOf("String" to BLANK), "content" to " ")
private val DECODER = listOf(FROM_BLANK, mapOf("type" to "ByteFallback"), mapOf("type" to "Fuse"))
private val STRIP = mapOf("type" to "Strip", "content" to " ", "start" to 1L, "stop" to 0L)

/** Which sections of a text get a blank before them, and whether blanks are still to be written as U+2581. */
internal class Prefix(private val always: Boolean, private val first: Boolean, private val replaces: Boolean) {
    fun apply(section: String, isFirst: Boolean): String {
        val written = if (replaces) section.replace(" ", BLANK) else section
        return if ((always || first && isFirst) && !written.startsWith(BLANK)) BLANK + written else written
    }
}

/** The prefix that a file's pre-tokenizer adds; one that its normalizer adds is already there. */
internal fun readPrefix(settings: TokenizerSettings): Prefix {
    val stated = settings.preTokenizer ?: return Prefix(always = false, first = false, replaces = false)
    val type = stated["type"]
    val splitsAtBlanks = type == "Split" && stated["pattern"] == mapOf("String" to " ")
    // A normalizer leaves no blanks to split at.
    if (splitsAtBlanks && settings.normalization.any { it.writesBlanks }) return Prefix(false, false, false)
    if (type != "Metaspace" || stated["replacement"] != BLANK || stated["split"] != false) {
        throw TokenizerUnusable("tokenizer.json splits a text by $type, which this app does not do for its kind")
    }
    return when (val scheme = stated["prepend_scheme"]) {
        "always" -> Prefix(always = true, first = false, replaces = true)
        "first" -> Prefix(always = false, first = true, replaces = true)
        "never" -> Prefix(always = false, first = false, replaces = true)
        else -> throw TokenizerUnusable("tokenizer.json asks for the prepend_scheme $scheme")
    }
}

/** Whether a text's first blank is no part of it. */
internal fun readStrip(settings: TokenizerSettings): Boolean {
    val stated = settings.decoder
    if (stated?.get("type") == "Sequence") {
        if (stated["decoders"] == DECODER) return false
        if (stated["decoders"] == DECODER + STRIP) return true
    }
    throw TokenizerUnusable("tokenizer.json prints tokens by ${stated?.get("type")} in a way that this app does not")
}

/** One step of a normalizer. [writesBlanks]: no blank is left behind it. */
internal class NormalizationStep(val writesBlanks: Boolean, private val change: (String) -> String) {
    fun apply(text: String): String = change(text)
}

/** The steps of a `normalizer`; TokenizerUnusable names one that is not known. */
internal fun readNormalizer(stated: Map<*, *>?): List<NormalizationStep> = when (val type = stated?.get("type")) {
    null -> emptyList()
    "Sequence" -> (stated["normalizers"] as? List<*>).orEmpty().flatMap { readNormalizer(it as? Map<*, *>) }
    "NFC" -> listOf(NormalizationStep(false) { java.text.Normalizer.normalize(it, java.text.Normalizer.Form.NFC) })
    "Prepend" -> {
        val prefix = stated["prepend"] as? String ?: throw TokenizerUnusable("tokenizer.json prepends no text")
        listOf(NormalizationStep(false) { if (it.isEmpty()) it else prefix + it })
    }
    "Replace" -> {
        if (stated != TO_BLANK) throw TokenizerUnusable("tokenizer.json replaces another text than blanks by U+2581")
        listOf(NormalizationStep(true) { it.replace(" ", BLANK) })
    }
    else -> throw TokenizerUnusable("tokenizer.json asks for the normalizer $type, which this app does not have")
}
