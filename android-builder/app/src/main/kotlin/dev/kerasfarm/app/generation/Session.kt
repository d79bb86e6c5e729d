package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.decoding.PromptTooLong
import dev.kerasfarm.generation.decoding.StopReason
import dev.kerasfarm.generation.decoding.TokenizerMissing
import dev.kerasfarm.generation.decoding.WritingOptions
import dev.kerasfarm.generation.decoding.windowFor
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.model.ModelInfoUnusable
import dev.kerasfarm.generation.tokenizer.TokenizerUnusable
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean

/**
 * One model and one generation at a time, for the whole process: a screen that is turned or left does not stop it.
 *
 * The work is done on a thread of its own. [post] runs something on the main thread, on which all public functions
 * are to be called; [openModel] opens the app's model, [openFilter] the filter of words, null when the app has none.
 */
class Session(
    private val openModel: () -> AppModel,
    private val openFilter: () -> WordFilter?,
    private val post: (Runnable) -> Unit,
) {
    private val worker = Executors.newSingleThreadExecutor { task -> Thread(task, "model") }
    private val announced = AtomicBoolean(false)
    private var model: AppModel? = null // touched by the worker alone
    private val filter by lazy(openFilter) // by the worker alone

    @Volatile
    private var cancelled = false

    /** What is to be seen now. */
    @Volatile
    var state = SessionState()
        private set

    /** Is told on the main thread that [state] changed; many changes may come as one. */
    var observer: (() -> Unit)? = null

    /** Opens the model unless it is open. */
    fun prepare() {
        if (state.phase != Phase.CLOSED) return
        change { it.copy(phase = Phase.OPENING, notice = null) }
        worker.execute { attempt { ready() } }
    }

    /** Writes on from [prompt]; does nothing while a generation is under way. */
    fun generate(prompt: String, options: WritingOptions) {
        if (state.busy || state.phase == Phase.OPENING) return
        cancelled = false
        change { SessionState(Phase.READING, it.info, prompt) }
        worker.execute { attempt { write(ready(), prompt, options) } }
    }

    /** Stops the generation before its next token. */
    fun stop() {
        cancelled = true
    }

    /** Stops and closes the model, to give its memory back; [prepare] opens it again. */
    fun release() {
        stop()
        worker.execute {
            model?.close()
            model = null
            change { SessionState(prompt = it.prompt, text = it.text) }
        }
    }

    private fun ready(): AppModel {
        val open = model ?: openModel().also { model = it }
        change { if (it.busy) it.copy(info = open.info) else it.copy(phase = Phase.READY, info = open.info) }
        return open
    }

    private fun write(model: AppModel, prompt: String, options: WritingOptions) {
        if (filter?.find(prompt) != null) return fail(Notice.UnsuitablePrompt)
        val tokens = model.encode(prompt)
        val read = model.prompt(tokens, windowFor(options.window, model.info.context))
        if (read.isEmpty()) return fail(Notice.EmptyPrompt)
        val left = tokens.size + (if (model.info.startToken == null) 0 else 1) - read.size
        val attempts = if (options.sampling.varies) ATTEMPTS else 1
        for (attempt in 0 until attempts) {
            change { it.copy(phase = Phase.READING, text = "", tokens = 0, tokensPerSecond = 0.0) }
            if (writeOnce(model, read, options, attempt, left)) return
        }
        change { it.copy(text = "", tokens = 0, tokensPerSecond = 0.0) }
        fail(Notice.UnsuitableText)
    }

    /** One try; false when its text is unsuitable. [left]: tokens of the prompt that the window has no place for. */
    private fun writeOnce(
        model: AppModel,
        prompt: IntArray,
        options: WritingOptions,
        attempt: Int,
        left: Int,
    ): Boolean {
        val text = FilteredText(filter)
        val sampler = options.sampling.sampler(prompt, attempt)
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

    private fun fail(notice: Notice) =
        change { it.copy(phase = if (model == null) Phase.CLOSED else Phase.READY, notice = notice) }

    @Synchronized
    private fun change(next: (SessionState) -> SessionState) {
        state = next(state)
        if (announced.compareAndSet(false, true)) {
            post {
                announced.set(false)
                observer?.invoke()
            }
        }
    }

    private companion object {
        const val NANOSECONDS = 1e9

        /** How often an unsuitable text is written again. */
        const val ATTEMPTS = 3
    }
}
