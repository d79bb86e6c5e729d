package dev.kerasfarm.generation.decoding

/**
 * What the user decides about a text: at most [limit] tokens, from at most the last [window] tokens of the prompt
 * (null: half of the model's context), chosen by [sampling].
 */
data class WritingOptions(val limit: Int, val window: Int? = null, val sampling: Sampling = Sampling())

/** The window to use for a context: at least one token, and one place is left to write. */
fun windowFor(wanted: Int?, context: Int): Int = (wanted ?: (context / 2)).coerceIn(1, context - 1)
