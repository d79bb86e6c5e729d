package dev.kerasfarm.app.generation

import dev.kerasfarm.app.chat.ChatSession
import dev.kerasfarm.app.chat.ConversationStore
import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.GenerationResult
import dev.kerasfarm.generation.ModelRefused
import dev.kerasfarm.generation.PromptRefused
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.generation.model.ModelInfo
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean

/**
 * One model and one generation at a time, for the whole process: a screen that is turned or left does not stop it.
 *
 * The work is done on a thread of its own. [post] runs something on the main thread, on which all public functions
 * are to be called; [readInfo] tells which model the app has, [openModel] opens it, [openStore] the conversations that
 * are kept.
 */
class Session(
    private val readInfo: () -> ModelInfo,
    private val openModel: (ModelInfo) -> TextGenerator,
    openStore: () -> ConversationStore,
    private val post: (Runnable) -> Unit,
) {
    /** The conversation in the mode chat. */
    val chat = ChatSession(this, openStore)

    private val worker = Executors.newSingleThreadExecutor { task -> Thread(task, "model") }
    private val announced = AtomicBoolean(false)
    private val observers = LinkedHashSet<() -> Unit>()
    private var model: TextGenerator? = null // touched by the worker alone
    private val beginnings = HashSet<Int>() // of the texts after the present prompt; by the worker alone

    /** Whether what is being done shall end. */
    @Volatile
    internal var cancelled = false
        private set

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
    fun generate(prompt: String, options: GenerationOptions, attempt: Int = 0): Boolean {
        if (state.busy || state.phase == Phase.OPENING) return false
        cancelled = false
        change {
            SessionState(Phase.READING, it.info, prompt, attempt = attempt, measurement = it.measurement, chat = it.chat)
        }
        worker.execute { attempt { write(ready(), prompt, options, attempt) } }
        return true
    }

    /** Lets the model write by [work]; false, and nothing is done, while it is at work. */
    internal fun write(work: (TextGenerator) -> Unit): Boolean {
        if (state.busy || state.phase == Phase.OPENING) return false
        cancelled = false
        change { it.copy(phase = Phase.READING, notice = it.notice as? Notice.Keeping, stopped = false, tokens = 0) }
        worker.execute { attempt { work(ready()) } }
        return true
    }

    /** Does [work] on the session's thread, behind what is done there. */
    internal fun onWorker(work: () -> Unit) = worker.execute { attempt(work) }

    /** Does [work] on the main thread. */
    internal fun onMain(work: () -> Unit) = post(Runnable { work() })

    /** Changes what is to be seen. */
    internal fun update(next: (SessionState) -> SessionState) = change(next)

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
    fun giveBack() {
        chat.pause()
        worker.execute {
            model?.close()
            model = null
            change { it.copy(phase = Phase.CLOSED) }
        }
    }

    /** The model, opened; on the session's thread alone. */
    internal fun ready(): TextGenerator {
        val info = state.info ?: readInfo().also { found -> change { it.copy(info = found) } }
        val open = model ?: openModel(info).also { model = it }
        change { if (it.busy) it else it.copy(phase = Phase.READY) }
        return open
    }

    private fun write(model: TextGenerator, prompt: String, options: GenerationOptions, number: Int) {
        val asks = model.info.prompting.mode == Mode.INSTRUCT
        if (asks && prompt.isBlank()) return fail(Notice.EmptyPrompt)
        if (number == 0) beginnings.clear()
        val varies = options.temperature > 0
        for (one in 0 until if (varies) TRIES else 1) {
            change { it.copy(phase = Phase.READING, text = "", tokens = 0, tokensPerSecond = 0.0) }
            // Each try draws other numbers, the same ones for the same seed.
            val seed = options.seed?.let { it * MOST_TRIES + number * TRIES + one }
            // A text is read from its end; a question without its beginning would be another one.
            val own = options.copy(seed = seed, notFirst = beginnings.toSet(), wholePrompt = asks)
            val result = model.generate(model.info.prompting.fill(prompt), own, Progress())
            result.tokens.firstOrNull()?.let { beginnings.add(it) }
            if (result.reason != EndReason.UNSUITABLE) return finish(result)
        }
        change { it.copy(text = "", tokens = 0, tokensPerSecond = 0.0) }
        fail(Notice.UnsuitableText)
    }

    private fun finish(result: GenerationResult) = change {
        it.copy(
            phase = Phase.READY,
            text = result.text,
            tokens = result.tokens.size,
            tokensPerSecond = result.tokensPerSecond,
            stopped = result.reason == EndReason.STOPPED,
            notice = noticeOf(result.reason, result.tokens.size, result.promptTokens + result.tokens.size)
                ?: Notice.PromptCut(result.promptTokens, result.promptTokensLeft).takeIf { it.left > 0 },
        )
    }

    /** Shows each token as it comes. */
    private inner class Progress : GenerationListener {
        override fun onRead(read: Int, total: Int): Boolean = !cancelled

        override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean {
            change {
                it.copy(phase = Phase.WRITING, text = it.text + part, tokens = tokens, tokensPerSecond = tokensPerSecond)
            }
            return !cancelled
        }
    }

    /** Runs [work] and turns what can go wrong there into a notice. */
    private fun attempt(work: () -> Unit) =
        try {
            work()
        } catch (refused: PromptRefused) {
            fail(
                when (refused.reason) {
                    PromptRefused.Reason.EMPTY -> Notice.EmptyPrompt
                    PromptRefused.Reason.UNSUITABLE -> Notice.UnsuitablePrompt
                    PromptRefused.Reason.TOO_LONG -> Notice.LongPrompt(refused.tokens, refused.room)
                },
            )
        } catch (refused: ModelRefused) {
            fail(
                when (refused.reason) {
                    ModelRefused.Reason.MISSING -> Notice.NoModel(refused.detail)
                    ModelRefused.Reason.NO_TOKENIZER -> Notice.NoTokenizer
                    ModelRefused.Reason.NO_RUNTIME -> Notice.NoRuntime
                    ModelRefused.Reason.UNUSABLE -> Notice.Unusable(refused.detail)
                },
            )
        } catch (_: OutOfMemoryError) {
            fail(Notice.NoMemory)
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
        /** More than the tries for one prompt. */
        const val MOST_TRIES = 1000L

        /** How often an unsuitable text is written again. */
        const val TRIES = 3
    }
}
