package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.Segment
import dev.kerasfarm.generation.model.Trim
import dev.kerasfarm.generation.model.isBlank
import dev.kerasfarm.generation.tokenizer.IntList
import dev.kerasfarm.generation.tokenizer.Tokenizer

/**
 * What the model reads before it answers the last of [turns]; where that has an answer, what it has read by then.
 *
 * Texts stay texts: special tokens are where the template puts them and nowhere else.
 */
internal fun render(template: ChatTemplate, system: String?, turns: List<Turn>, thinking: Boolean): List<Segment> {
    val out = ArrayList(template.begin)
    val part = template.system.takeUnless { system == null || isBlank(system) }
    if (part == null) out += template.noSystem
    if (part != null && !part.inQuestion) out += around(part.part.before, part.part.trim, system.orEmpty(), part.part.after)
    for ((index, turn) in turns.withIndex()) {
        out += template.user.before
        var trim: Trim = template.user.trim
        if (index == 0 && part != null && part.inQuestion) {
            out += around(part.part.before, part.part.trim, system.orEmpty(), part.part.after)
            trim = part.questionTrim
        }
        out += Segment.Text(trim.apply(turn.question))
        out += template.user.after
        val answer = turn.answer ?: if (index < turns.size - 1) "" else null
        if (answer != null) {
            out += around(template.assistant.before, template.assistant.trim, answer, template.assistant.after)
        }
    }
    if (turns.isNotEmpty() && turns.last().answer == null) {
        val thought = template.thinking
        out += if (thought != null && (thinking || thought.always)) thought.generation else template.generation
    }
    return out
}

private fun around(before: List<Segment>, trim: Trim, text: String, after: List<Segment>): List<Segment> =
    before + Segment.Text(trim.apply(text)) + after

/** The tokens of [segments]: neighbouring texts are one, in which special tokens are not looked for. */
internal fun encode(tokenizer: Tokenizer, segments: List<Segment>): IntArray {
    val ids = IntList(segments.size * 4)
    val text = StringBuilder()
    var begun = false
    fun flush() {
        if (text.isEmpty()) return
        val found = tokenizer.encodeLiteral(text.toString(), begins = ids.size == 0)
        ids.addAll(found, found.size)
        text.clear()
    }
    for (segment in segments) {
        when (segment) {
            is Segment.Text -> text.append(segment.text)
            is Segment.Token -> {
                flush()
                ids.add(segment.id)
            }
        }
    }
    flush()
    return ids.toArray()
}
