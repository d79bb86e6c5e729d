package dev.kerasfarm.generation

import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.decoding.Sampler
import dev.kerasfarm.generation.filter.WordFilter

/**
 * One text, from its prompt to its end: the loop behind every way in which this library writes.
 *
 * [prompt] is what the model reads; [left] of its tokens had no place before that. [guard] runs each step, and throws
 * where the model is not this run's any more.
 */
internal class TextRun(
    private val model: AppModel,
    filter: WordFilter?,
    private val prompt: IntArray,
    private val left: Int,
    limit: Int,
    sampler: Sampler,
    private val guard: Guard,
) {
    private val tokens = ArrayList<Int>()
    private val text = StringBuilder()
    private val shown = FilteredText(filter)
    private val decoder = model.decoder()
    private val run = model.start(prompt, limit, sampler)
    private var nanoseconds = 0L

    @Volatile
    private var stopped = false

    /** Ends the text before its next token; may be called from any thread. */
    fun stop() {
        stopped = true
    }

    /** The text as it is written: a part for each token, which may be empty, and what is left at the end. */
    fun parts(onRead: (Int, Int) -> Boolean = { _, _ -> true }): Sequence<String> = sequence {
        val read = guard.step(this@TextRun) { run.read { !stopped && onRead(it, prompt.size) } }
        stopped = stopped || !read
        while (!stopped && !shown.unsuitable) {
            val token = guard.step(this@TextRun) { timed { run.next() } } ?: break
            tokens.add(token)
            give(shown.push(decoder.push(token)))
        }
        if (!shown.unsuitable) give(shown.push(decoder.finish()) + shown.finish())
    }

    /** Writes the whole text; [listener] may end it. */
    fun write(listener: GenerationListener): GenerationResult {
        for (part in parts(listener::onRead)) {
            if (!listener.onToken(part, tokens.size, rate())) stop()
        }
        return result()
    }

    /** How it ended; once the parts are at their end, or the reader at the end of his interest. */
    fun result(): GenerationResult {
        val reason = when {
            shown.unsuitable -> EndReason.UNSUITABLE
            else -> run.reason?.asEndReason() ?: EndReason.STOPPED
        }
        return GenerationResult(text.toString(), tokens.toIntArray(), reason, rate(), prompt.size, left)
    }

    private fun rate(): Double = if (nanoseconds > 0) tokens.size * NANOSECONDS / nanoseconds else 0.0

    private suspend fun SequenceScope<String>.give(part: String) {
        text.append(part)
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
