package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.ModelMissing
import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.decoding.PromptTooLong
import dev.kerasfarm.generation.decoding.StopReason
import dev.kerasfarm.generation.decoding.TokenizerMissing
import dev.kerasfarm.generation.decoding.WritingOptions
import dev.kerasfarm.generation.decoding.windowFor
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.ModelInfoUnusable
import dev.kerasfarm.generation.tokenizer.TokenizerUnusable
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean

/**
 * One model and one generation at a time, for the whole process: a screen that is turned or left does not stop it.
 *
 * The work is done on a thread of its own. [post] runs something on the main thread, on which all public functions
 * are to be called; [readInfo] tells which model the app has, [openModel] opens it, [openFilter] the filter of words,
 * null when the app has none.
 */
class Session(
    private val readInfo: () -> ModelInfo,
    private val openModel: (ModelInfo) -> AppModel,
    private val openFilter: () -> WordFilter?,
    private val post: (Runnable) -> Unit,
) {
    private val worker = Executors.newSingleThreadExecutor { task -> Thread(task, "model") }
    private val announced = AtomicBoolean(false)
    private val observers = LinkedHashSet<() -> Unit>()
    private var model: AppModel? = null // touched by the worker alone
    private val filter by lazy(openFilter) // by the worker alone
    private val beginnings = HashSet<Int>() // of the texts after the present prompt; by the worker alone

    @Volatile
    private var cancelled = false

    /** What is to be seen now. */
    @Volatile
    var state = SessionState()
        private set

    /** From now on [observer] is told on the main thread that [state] changed; many changes may come as one. */
    fun observe(observer: () -> Unit) {
        observers.add(observer)
    }

    /** The [observer] is not told any more. */
    fun forget(observer: () -> Unit) {
        observers.remove(observer)
    }

    /** Opens the model unless it is open. */
    fun prepare() {
        if (state.phase != Phase.CLOSED) return
        change { it.copy(phase = Phase.OPENING, notice = null) }
        worker.execute { attempt { ready() } }
    }

    /**
     * Writes on from [prompt], or answers it; false, and nothing is done, while the model is at work. An [attempt]
     * above 0 asks for another text after the same prompt.
     */
    fun generate(prompt: String, options: WritingOptions, attempt: Int = 0): Boolean {
        if (state.busy || state.phase == Phase.OPENING) return false
        cancelled = false
        change { SessionState(Phase.READING, it.info, prompt, attempt = attempt, measurement = it.measurement) }
        worker.execute { attempt { write(ready(), prompt, options, attempt) } }
        return true
    }

    /** Measures how fast the model is; does nothing while it is at work. */
    fun measure() {
        if (state.busy || state.phase == Phase.OPENING) return
        cancelled = false
        change { it.copy(phase = Phase.MEASURING, measurement = null, notice = null) }
        worker.execute {
            attempt {
                val found = measure(ready()) { cancelled }
                change { it.copy(phase = Phase.READY, measurement = found) }
            }
        }
    }

    /** Stops what the model does before its next token. */
    fun stop() {
        cancelled = true
    }

    /** Stops, and forgets the text that was written. */
    fun dismiss() {
        stop()
        if (state.writing) worker.execute { forgetText() } else forgetText()
    }

    /** A generation that began in the meantime keeps its own. */
    private fun forgetText() = change {
        if (it.busy) it else it.copy(prompt = "", text = "", tokens = 0, stopped = false, notice = null)
    }

    /** Shows a text of an earlier process again; does nothing when there is one already. */
    fun restore(prompt: String, text: String, tokens: Int, tokensPerSecond: Double) {
        if (state.busy || state.prompt.isNotEmpty() || state.text.isNotEmpty()) return
        change { it.copy(prompt = prompt, text = text, tokens = tokens, tokensPerSecond = tokensPerSecond) }
    }

    /** Stops and closes the model; [prepare] opens it again. */
    fun release() {
        stop()
        giveBack()
    }

    /** Gives the model's memory back to the phone as soon as the text that is being written ends. */
    fun giveBack() = worker.execute {
        model?.close()
        model = null
        change { it.copy(phase = Phase.CLOSED) }
    }

    private fun ready(): AppModel {
        val info = state.info ?: readInfo().also { found -> change { it.copy(info = found) } }
        val open = model ?: openModel(info).also { model = it }
        change { if (it.busy) it else it.copy(phase = Phase.READY) }
        return open
    }

    private fun write(model: AppModel, prompt: String, options: WritingOptions, number: Int) {
        if (filter?.find(prompt) != null) return fail(Notice.UnsuitablePrompt)
        val asks = model.info.prompting.mode == Mode.INSTRUCT
        if (asks && prompt.isBlank()) return fail(Notice.EmptyPrompt)
        val tokens = model.encode(model.info.prompting.fill(prompt))
        val window = windowFor(options.window, model.info.context)
        val read = model.prompt(tokens, window)
        if (read.isEmpty()) return fail(Notice.EmptyPrompt)
        val whole = tokens.size + (if (model.info.startToken == null) 0 else 1)
        // A text is read from its end; a question without its beginning would be another one.
        if (asks && whole > window) return fail(Notice.LongPrompt(whole, window))
        if (number == 0) beginnings.clear()
        val tries = if (options.sampling.varies) TRIES else 1
        for (one in 0 until tries) {
            change { it.copy(phase = Phase.READING, text = "", tokens = 0, tokensPerSecond = 0.0) }
            if (writeOnce(model, read, options, number * TRIES + one, whole - read.size)) return
        }
        change { it.copy(text = "", tokens = 0, tokensPerSecond = 0.0) }
        fail(Notice.UnsuitableText)
    }

    /** One try; false when its text is unsuitable. [left]: tokens of the prompt that the window has no place for. */
    private fun writeOnce(
        model: AppModel,
        prompt: IntArray,
        options: WritingOptions,
        number: Int,
        left: Int,
    ): Boolean {
        val text = FilteredText(filter)
        val sampler = DiverseStartSampler(beginnings, model.info.stopTokens, options.sampling.sampler(prompt, number))
        var began = 0L
        val generation = model.write(prompt, options.limit, sampler, { cancelled || text.unsuitable }) { part ->
            val now = System.nanoTime()
            if (began == 0L) began = now
            val shown = text.push(part)
            change {
                val seconds = (now - began) / NANOSECONDS
                val rate = if (seconds > 0) it.tokens / seconds else 0.0
                it.copy(phase = Phase.WRITING, text = it.text + shown, tokens = it.tokens + 1, tokensPerSecond = rate)
            }
        }
        val rest = text.finish()
        generation.tokens.firstOrNull()?.let { beginnings.add(it) }
        if (text.unsuitable) return false
        change {
            it.copy(
                phase = Phase.READY,
                text = it.text + rest,
                tokens = generation.tokens.size,
                tokensPerSecond = generation.tokensPerSecond,
                stopped = generation.reason == StopReason.CANCELLED,
                notice = when {
                    generation.reason == StopReason.CONTEXT_FULL -> Notice.ContextFull
                    generation.tokens.isEmpty() && generation.reason == StopReason.END_TOKEN -> Notice.NothingToSay
                    left > 0 -> Notice.PromptCut(prompt.size, left)
                    else -> null
                },
            )
        }
        return true
    }

    /** Runs [work] and turns what can go wrong there into a notice. */
    private fun attempt(work: () -> Unit) =
        try {
            work()
        } catch (error: PromptTooLong) {
            fail(Notice.LongPrompt(error.promptTokens, error.context))
        } catch (error: ModelMissing) {
            fail(Notice.NoModel(error.missing))
        } catch (error: ModelUnusable) {
            fail(Notice.Unusable(error.message.orEmpty()))
        } catch (error: ModelInfoUnusable) {
            fail(Notice.Unusable(error.message.orEmpty()))
        } catch (error: TokenizerUnusable) {
            fail(Notice.Unusable(error.message.orEmpty()))
        } catch (_: TokenizerMissing) {
            fail(Notice.NoTokenizer)
        } catch (error: IOException) {
            fail(Notice.Unusable("a file of the app cannot be read (${error.message})"))
        } catch (_: OutOfMemoryError) {
            fail(Notice.NoMemory)
        } catch (_: LinkageError) {
            fail(Notice.NoRuntime)
        }

    private fun fail(notice: Notice) = change {
        val prompt = if (notice is Notice.Refusal) "" else it.prompt
        it.copy(phase = if (model == null) Phase.CLOSED else Phase.READY, prompt = prompt, notice = notice)
    }

    @Synchronized
    private fun change(next: (SessionState) -> SessionState) {
        state = next(state)
        if (announced.compareAndSet(false, true)) {
            post {
                announced.set(false)
                observers.toList().forEach { it() }
            }
        }
    }

    private companion object {
        const val NANOSECONDS = 1e9

        /** How often an unsuitable text is written again. */
        const val TRIES = 3
    }
}
