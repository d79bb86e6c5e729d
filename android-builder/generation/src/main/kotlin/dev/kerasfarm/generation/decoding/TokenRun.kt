package dev.kerasfarm.generation.decoding

import dev.kerasfarm.generation.engine.LanguageModel
import dev.kerasfarm.generation.engine.MemoryFull

/**
 * One text being written, token by token: first [read] the prompt, then ask for [next] until it gives null.
 *
 * [prompt] has the start token, is not empty and fits into the context. Every token is chosen from the logits behind
 * those chosen before it: drafts only save runs. The run's state lies in the model's cache, so that a run ends where
 * another one begins; [cached] says what that holds, and with [keeps] what it holds of the prompt is not read again.
 */
internal class TokenRun(
    private val model: LanguageModel,
    private val stopTokens: Set<Int>,
    private val prompt: IntArray,
    private val limit: Int,
    private val sampler: Sampler,
    private val logits: FloatArray,
    private val cached: HeldTokens,
    private val keeps: Boolean,
) {
    private val drafter = PromptLookupDrafter(prompt)
    private var current = prompt.last()
    private var position = prompt.size - 1
    private var count = 0

    /** The drafts that the model's last run has logits behind, and how many of them have held; null: run it first. */
    private var drafts: IntArray? = null
    private var held = 0

    /** Why the text ended; null while it goes on. */
    var reason: StopReason? = if (limit > 0) null else StopReason.TOKEN_LIMIT
        private set

    /**
     * Puts the prompt into the cache. [goOn] gets how many of its tokens are there, before each run of the model and at the
     * end; false, and nothing more is read, where it says so. Throws [MemoryFull].
     */
    fun read(goOn: (Int) -> Boolean): Boolean {
        var place = if (keeps) minOf(cached.commonWith(prompt), prompt.size - 1) else 0
        if (!model.keeps(place)) place = 0
        cached.cut(place)
        if (place == 0) model.reset()
        while (place < prompt.size) {
            if (!goOn(place)) return false
            val count = model.read(prompt, place)
            cached.put(prompt, place, count, place)
            place += count
        }
        // The last call gives the first logits.
        drafts = IntArray(0)
        return goOn(place)
    }

    /** The next token; null when the text has ended, for [reason]. */
    fun next(): Int? {
        if (reason != null) return null
        if (drafts == null && position >= model.context) return end(StopReason.CONTEXT_FULL)
        val drafted = drafts ?: score() ?: return null
        model.readLogits(held, logits)
        cached.put(intArrayOf(current), 0, 1, position)
        position++
        current = sampler.choose(logits)
        if (current in stopTokens) return end(StopReason.END_TOKEN)
        drafter.append(current)
        if (held < drafted.size && drafted[held] == current) {
            held++
        } else {
            drafts = null
        }
        if (++count == limit) reason = StopReason.TOKEN_LIMIT
        return current
    }

    /** Runs the model over the last token and what may follow it; null when it has no memory for that. */
    private fun score(): IntArray? {
        val drafted = drafter.draft(minOf(model.roomAt(position), limit - count) - 1)
        cached.cut(position)
        try {
            model.score(intArrayOf(current) + drafted, position)
        } catch (_: MemoryFull) {
            end(StopReason.MEMORY_FULL)
            return null
        }
        drafts = drafted
        held = 0
        return drafted
    }

    private fun end(why: StopReason): Int? {
        reason = why
        return null
    }
}
