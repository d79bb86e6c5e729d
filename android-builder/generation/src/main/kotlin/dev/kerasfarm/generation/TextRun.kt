package dev.kerasfarm.generation

import dev.kerasfarm.generation.decoding.ShownPart
import dev.kerasfarm.generation.decoding.TextParts
import dev.kerasfarm.generation.decoding.TokenRun
import dev.kerasfarm.generation.engine.MemoryFull

/**
 * One text, from its prompt to its end: the loop behind every way in which this library writes.
 *
 * [promptTokens] is what the model reads; [left] of its tokens had no place before that. [guard] runs each step, and
 * throws where the model is not this run's any more.
 */
internal class TextRun(
    private val run: TokenRun,
    private val shown: TextParts,
    private val promptTokens: Int,
    private val left: Int,
    private val guard: Guard,
) {
    private val tokens = ArrayList<Int>()
    private val text = StringBuilder()
    private var nanoseconds = 0L
    private var broken = false // off while the prompt was read

    @Volatile
    private var stopped = false

    /** Ends the text before its next token; may be called from any thread. */
    fun stop() {
        stopped = true
    }

    /** The text as it is written: a part for each token, which may be empty, and what is left at the end. */
    fun parts(onRead: (Int, Int) -> Boolean = { _, _ -> true }): Sequence<ShownPart> = sequence {
        val read = try {
            guard.step(this@TextRun) { run.read { !stopped && onRead(it, promptTokens) } }
        } catch (error: MemoryFull) {
            throw crowdedPrompt(promptTokens, error)
        }
        broken = !read
        stopped = stopped || broken
        while (!stopped && !shown.unsuitable) {
            val token = guard.step(this@TextRun) { timed { run.next() } } ?: break
            tokens.add(token)
            give(shown.push(token))
        }
        if (!shown.unsuitable) give(shown.finish())
    }

    /** Writes the whole text; [listener] may end it. */
    fun write(listener: GenerationListener): GenerationResult {
        for (part in parts(listener::onRead)) {
            val goOn = part.thought.isEmpty() || listener.onThought(part.thought)
            if (!listener.onToken(part.text, tokens.size, rate()) || !goOn) stop()
        }
        return result()
    }

    /** How it ended; once the parts are at their end, or the reader at the end of his interest. */
    fun result(): GenerationResult {
        val reason = when {
            shown.unsuitable -> EndReason.UNSUITABLE
            broken -> EndReason.STOPPED
            else -> run.reason?.asEndReason() ?: EndReason.STOPPED
        }
        return GenerationResult(text.toString(), tokens.toIntArray(), reason, rate(), promptTokens, left)
    }

    private fun rate(): Double = if (nanoseconds > 0) tokens.size * NANOSECONDS / nanoseconds else 0.0

    private suspend fun SequenceScope<ShownPart>.give(part: ShownPart) {
        text.append(part.text)
        yield(part)
    }

    private fun <T> timed(work: () -> T): T {
        val began = System.nanoTime()
        return work().also { nanoseconds += System.nanoTime() - began }
    }

    private companion object {
        const val NANOSECONDS = 1e9
    }
}

/** Whose turn it is at a model that several threads may ask: the latest run's, until the model is closed. */
internal class Guard {
    private val lock = Any()

    @Volatile
    private var latest: TextRun? = null
    private var closed = false

    /** Makes what [begin] gives the latest run. IllegalStateException when the model is closed. */
    fun begin(begin: () -> TextRun): TextRun = synchronized(lock) {
        check(!closed) { "the generator is closed" }
        begin().also { latest = it }
    }

    /** Runs [work] of [run]. IllegalStateException when another one was begun, or the model closed. */
    fun <T> step(run: TextRun, work: () -> T): T = synchronized(lock) {
        check(!closed) { "the generator is closed" }
        check(latest === run) { "another text was begun" }
        work()
    }

    /** Does [work] while no run is at its own. IllegalStateException when the model is closed. */
    fun <T> alone(work: () -> T): T = synchronized(lock) {
        check(!closed) { "the generator is closed" }
        work()
    }

    /** Stops the latest run. */
    fun stop() {
        latest?.stop()
    }

    /** Calls [release] the first time. */
    fun close(release: () -> Unit) = synchronized(lock) {
        if (!closed) release()
        closed = true
    }
}
