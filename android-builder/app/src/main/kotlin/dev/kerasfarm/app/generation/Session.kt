package dev.kerasfarm.app.generation

import dev.kerasfarm.app.engine.ModelUnusable
import dev.kerasfarm.app.model.ModelInfoUnusable
import dev.kerasfarm.app.tokenizer.TokenizerUnusable
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean

/** The app holds a model whose text it cannot read. */
class TokenizerMissing : Exception("the model has no tokenizer that this app can use")

/**
 * One model and one generation at a time, for the whole process: a screen that is turned or left does not stop it.
 *
 * The work is done on a thread of its own. [post] runs something on the main thread, on which all public functions
 * are to be called; [openModel] opens the app's model.
 */
class Session(private val openModel: () -> AppModel, private val post: (Runnable) -> Unit) {
    private val worker = Executors.newSingleThreadExecutor { task -> Thread(task, "model") }
    private val announced = AtomicBoolean(false)
    private var model: AppModel? = null // touched by the worker alone

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

    /** Writes on from [prompt], at most [limit] tokens; does nothing while a generation is under way. */
    fun generate(prompt: String, limit: Int) {
        if (state.busy || state.phase == Phase.OPENING) return
        cancelled = false
        change { SessionState(Phase.READING, it.info, prompt) }
        worker.execute { attempt { write(ready(), prompt, limit) } }
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

    private fun write(model: AppModel, prompt: String, limit: Int) {
        val tokens = model.prompt(prompt)
        if (tokens.isEmpty()) return fail(Notice.EmptyPrompt)
        var began = 0L
        val generation = model.write(tokens, limit, GreedySampler, { cancelled }) { text ->
            val now = System.nanoTime()
            if (began == 0L) began = now
            change {
                val seconds = (now - began) / NANOSECONDS
                val rate = if (seconds > 0) it.tokens / seconds else 0.0
                it.copy(phase = Phase.WRITING, text = it.text + text, tokens = it.tokens + 1, tokensPerSecond = rate)
            }
        }
        change {
            it.copy(
                phase = Phase.READY,
                tokens = generation.tokens.size,
                tokensPerSecond = generation.tokensPerSecond,
                stopped = generation.reason == StopReason.CANCELLED,
                notice = if (generation.reason == StopReason.CONTEXT_FULL) Notice.ContextFull else null,
            )
        }
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
    }
}
