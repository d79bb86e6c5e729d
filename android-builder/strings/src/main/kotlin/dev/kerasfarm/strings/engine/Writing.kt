package dev.kerasfarm.strings.engine

import dev.kerasfarm.generation.filter.WordFilter

/** What came of the wish to write. */
sealed interface Outcome {
    /** A text; [left] bytes of the prompt were not read. */
    data class Text(val answer: Answer, val left: Int, val seconds: Double) : Outcome

    /** The prompt is blank. */
    data object EmptyPrompt : Outcome

    /** The prompt has words that the app does not take. */
    data object UnsuitablePrompt : Outcome

    /** The model wrote words that the app does not show. */
    data object UnsuitableText : Outcome

    /** It was stopped. */
    data object Stopped : Outcome
}

/** How often an unsuitable text is written again, where another seed makes another text of it. */
private const val ATTEMPTS = 3
private const val NANOSECONDS = 1e9

/** Writes on from [prompt], and shows nothing that [filter] finds: neither in the prompt nor in the answer. */
fun write(writer: TextWriter, filter: WordFilter?, prompt: String, options: Options): Outcome {
    if (prompt.isBlank()) return Outcome.EmptyPrompt
    if (filter?.find(prompt) != null) return Outcome.UnsuitablePrompt
    val began = System.nanoTime()
    // A model without settings, or one that takes the likeliest token, would write the same again.
    val attempts = if (writer.adjustable && options.temperature > 0) ATTEMPTS else 1
    repeat(attempts) { attempt ->
        val written = try {
            writer.write(prompt, options.copy(seed = options.seed + attempt))
        } catch (_: Cancelled) {
            return Outcome.Stopped
        }
        if (filter?.find(written.answer.text) == null) {
            return Outcome.Text(written.answer, written.left, (System.nanoTime() - began) / NANOSECONDS)
        }
    }
    return Outcome.UnsuitableText
}
