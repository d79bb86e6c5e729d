package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.decoding.ShownPart
import dev.kerasfarm.generation.decoding.TextParts
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.model.Thinking
import dev.kerasfarm.generation.model.isBlank
import dev.kerasfarm.generation.tokenizer.StreamDecoder

/**
 * An answer, apart from the thought before it.
 *
 * [thinking] is null where the model does not think. A thought stands between its two markers, without line feeds
 * around it, and so do those before the answer; the markers are never shown. [strips]: the answer loses white space at
 * its beginning.
 */
internal class AnswerParts(
    private val newDecoder: () -> StreamDecoder,
    filter: WordFilter?,
    private val thinking: Thinking?,
    private val strips: Boolean,
) : TextParts {
    private enum class State { WAITING, THOUGHT, ANSWER }

    private val answer = FilteredText(filter)
    private val thought = FilteredText(filter)
    private var decoder = newDecoder()
    private var state = when {
        thinking == null -> State.ANSWER
        thinking.opened -> State.THOUGHT
        else -> State.WAITING
    }
    private var behindThought = false
    private var begun = false
    private val held = StringBuilder() // line feeds of a thought, or blanks before anything else, that may be its end

    override val unsuitable: Boolean get() = answer.unsuitable || thought.unsuitable

    override fun push(token: Int): ShownPart = when {
        state == State.WAITING && token == thinking?.openToken -> {
            enter(State.THOUGHT)
            ShownPart("")
        }
        state == State.THOUGHT && token == thinking?.closeToken -> {
            val rest = thoughtPart(decoder.finish()) + thought.finish()
            behindThought = true
            enter(State.ANSWER)
            ShownPart("", rest)
        }
        else -> part(decoder.push(token))
    }

    override fun finish(): ShownPart {
        val last = part(decoder.finish())
        if (state == State.THOUGHT) return ShownPart(last.text, last.thought + thought.finish())
        // What was held for a marker that never came.
        val kept = if (state == State.WAITING) answerPart(held.toString()) else ""
        return ShownPart(last.text + kept + answer.finish(), last.thought)
    }

    private fun part(text: String): ShownPart = when (state) {
        State.WAITING -> {
            held.append(text)
            if (isBlank(held.toString())) {
                ShownPart("")
            } else {
                val whole = held.toString()
                state = State.ANSWER
                ShownPart(answerPart(whole))
            }
        }
        State.THOUGHT -> ShownPart("", thoughtPart(text))
        State.ANSWER -> ShownPart(answerPart(text))
    }

    private fun thoughtPart(text: String): String {
        held.append(text)
        if (!begun) {
            val start = held.indexOfFirst { it != '\n' }
            if (start < 0) return ""
            held.delete(0, start)
            begun = true
        }
        val end = held.indexOfLast { it != '\n' } + 1
        val whole = held.substring(0, end)
        held.delete(0, end)
        return thought.push(whole)
    }

    private fun answerPart(text: String): String {
        if (begun) return answer.push(text)
        var rest = text
        if (behindThought) rest = rest.trimStart('\n')
        if (strips) rest = rest.trimStart { isBlank(it) }
        begun = rest.isNotEmpty()
        return answer.push(rest)
    }

    private fun enter(next: State) {
        state = next
        held.clear()
        begun = false
        decoder = newDecoder()
    }
}
