package dev.kerasfarm.generation.tokenizer

/** Reads the steps of a `pre_tokenizer` of the byte-level kind; one that is not known is refused by its name. */
internal class SplitSteps(private val classes: CodePointClasses) {
    /** The steps in their order; the last ones work on the letters of bytes. */
    fun read(stated: Map<*, *>?): List<SplitStep> {
        val steps = flat(stated)
        if (steps.none { it["type"] == "ByteLevel" }) {
            val named = steps.map { it["type"] }.ifEmpty { listOf("nothing") }.joinToString()
            throw TokenizerUnusable("tokenizer.json splits a text by $named and not into bytes")
        }
        return steps.map { step(it) }
    }

    private fun flat(stated: Map<*, *>?): List<Map<*, *>> = when (stated?.get("type")) {
        null -> emptyList()
        "Sequence" -> (stated["pretokenizers"] as? List<*>).orEmpty().flatMap { flat(it as? Map<*, *>) }
        else -> listOf(stated)
    }

    private fun step(stated: Map<*, *>): SplitStep = when (val type = stated["type"]) {
        "ByteLevel" -> BytesOfPieces(
            pattern = if (stated["use_regex"] == false) null else SplitPattern(SplitPatterns.GPT2, classes),
            prefixSpace = stated["add_prefix_space"] == true,
        )
        "Digits" -> SplitByKind(classes, DIGITS, individually = stated["individual_digits"] == true)
        "Punctuation" -> {
            requireEqual("behavior", stated["behavior"], "Contiguous")
            SplitByKind(classes, PUNCTUATION, individually = false)
        }
        "Split" -> SplitByPattern(SplitPattern(expression(stated), classes))
        else -> throw TokenizerUnusable("tokenizer.json splits a text by $type, which this app does not know")
    }

    private fun expression(stated: Map<*, *>): String {
        val inverted = stated["invert"] == true
        // What is removed is what does not match; the patterns below leave nothing over where this is asked for.
        requireEqual("behavior", stated["behavior"], if (inverted) "Removed" else "Isolated")
        val expression = (stated["pattern"] as? Map<*, *>)?.get("Regex")
        val known = if (inverted) SplitPatterns.WHOLE else SplitPatterns.WHOLE + SplitPatterns.PARTS
        if (expression !in known) throw TokenizerUnusable("tokenizer.json splits a text by a pattern not known: $expression")
        return expression as String
    }

    private fun requireEqual(name: String, found: Any?, wanted: String) {
        if (found != wanted) throw TokenizerUnusable("tokenizer.json asks for the $name $found, not $wanted")
    }

    private companion object {
        val DIGITS = setOf(CodePointClasses.NUMBER, CodePointClasses.DIGIT_WITHOUT_NUMBER)
        val PUNCTUATION = setOf(
            CodePointClasses.PUNCTUATED_MARK,
            CodePointClasses.PUNCTUATED_PUNCTUATION,
            CodePointClasses.PUNCTUATED_SYMBOL,
        )
    }
}
