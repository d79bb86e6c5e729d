package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.tokenizer.StreamDecoder

/** What one token adds to what is shown: to the text, and to the thought before it. */
internal data class ShownPart(val text: String, val thought: String = "")

/** Turns the tokens of a text into what is shown of it. */
internal interface TextParts {
    /** Whether an unsuitable word was found. */
    val unsuitable: Boolean

    /** What [token] adds. */
    fun push(token: Int): ShownPart

    /** What is left at the end. */
    fun finish(): ShownPart
}

/** A text that is shown as it is. */
internal class PlainParts(private val decoder: StreamDecoder, filter: WordFilter?) : TextParts {
    private val shown = FilteredText(filter)

    override val unsuitable: Boolean get() = shown.unsuitable

    override fun push(token: Int) = ShownPart(shown.push(decoder.push(token)))

    override fun finish() = ShownPart(shown.push(decoder.finish()) + shown.finish())
}
