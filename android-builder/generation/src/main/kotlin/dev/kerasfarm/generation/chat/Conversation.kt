package dev.kerasfarm.generation.chat

import dev.kerasfarm.generation.EndReason
import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.GenerationResult
import dev.kerasfarm.generation.PartListener
import dev.kerasfarm.generation.PromptRefused
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.TextRun
import dev.kerasfarm.generation.decoding.GreedySampler
import dev.kerasfarm.generation.decoding.ShownPart
import dev.kerasfarm.generation.emptyPrompt
import dev.kerasfarm.generation.longPrompt
import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.Segment
import dev.kerasfarm.generation.model.isBlank
import dev.kerasfarm.generation.unsuitablePrompt

/**
 * A conversation with a model that has a chat template ([dev.kerasfarm.generation.model.ModelInfo.chat]).
 *
 * ```
 * val conversation = Conversation(generator, system = "You are brief.")
 * conversation.send("What is a list?").forEach { part -> append(part) }
 * conversation.send("And a set?") { part -> append(part); true }
 * ```
 *
 * What the model has read stays in its cache: a further question costs only its own tokens. When the context is full the
 * oldest turns are left out whole, the system text never; a question that does not fit by itself is refused. A user's
 * text is read as text, whatever it looks like: it never becomes one of the model's special tokens.
 *
 * Several conversations may share a generator; one text is written at a time, as [TextGenerator] says. Writing takes
 * time: do it on a thread of your own. [cancel], [turns] and the other properties may be used from any thread.
 * [GenerationOptions.contextWindow], `wholePrompt` have no meaning here.
 *
 * @param system what the model is told before everything; null: what its template says by itself.
 * @param turns what was said before.
 * @throws IllegalArgumentException when the model has no chat template.
 */
class Conversation @JvmOverloads constructor(
    private val generator: TextGenerator,
    system: String? = null,
    turns: List<Turn> = emptyList(),
) {
    private val template: ChatTemplate = requireNotNull(generator.info.chat) { "the model has no chat template" }
    private val beginnings = HashSet<Int>() // of the answers to the last question

    @Volatile
    private var run: TextRun? = null

    /** What the model is told before everything; a change counts from the next answer on. */
    @Volatile
    var system: String? = system

    /** Whether the model thinks before it answers, where it can choose. */
    @Volatile
    var thinking: Boolean = template.thinking?.let { it.always || it.wanted } ?: false

    /** All turns; the last one grows while it is answered. */
    @Volatile
    var turns: List<Turn> = turns
        private set

    /** How many of the first [turns] the model does not read any more, because its context is full. */
    @Volatile
    var droppedTurns: Int = 0
        private set

    /** How many tokens of the model's context the conversation took when it was last read or answered. */
    @Volatile
    var contextTokens: Int = 0
        private set

    /**
     * Asks [question]: the sequence gives the answer in parts as it is written, and writes no further than you read. It
     * can be read once; what was read of it is the turn's answer.
     *
     * @throws PromptRefused when the question is blank, unsuitable or longer than the context; the conversation then
     *   stays as it was.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun send(question: String, options: GenerationOptions = GenerationOptions()): Sequence<String> =
        ask(question, options).parts().map { it.text }.filter { it.isNotEmpty() }.constrainOnce()

    /**
     * The same for a caller that wants to be called: [part] gets the answer as it is written and answers whether to go on.
     *
     * @throws PromptRefused when the question is blank, unsuitable or longer than the context.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun send(
        question: String,
        options: GenerationOptions = GenerationOptions(),
        part: (String) -> Boolean,
    ): Answer = send(question, options, PartListener(part))

    /**
     * The same for a caller that wants to know more: [listener] is told of the reading, of thoughts and of every token.
     *
     * @throws PromptRefused when the question is blank, unsuitable or longer than the context.
     */
    @Throws(PromptRefused::class)
    fun send(question: String, options: GenerationOptions, listener: GenerationListener): Answer =
        ask(question, options).write(listener)

    /**
     * Answers the last question once more, and begins with another token than the answers so far.
     *
     * @throws IllegalStateException when nothing was asked.
     */
    fun regenerate(options: GenerationOptions, listener: GenerationListener): Answer {
        check(turns.isNotEmpty()) { "nothing was asked" }
        val other = options.copy(notFirst = options.notFirst + beginnings)
        return begin(turns.dropLast(1) + Turn(turns.last().question), other).write(listener)
    }

    /**
     * Puts [question] in place of that of turn number [index], counted from 0, and answers it; the turns behind go.
     *
     * @throws PromptRefused when the question is blank, unsuitable or longer than the context; nothing is changed then.
     */
    @Throws(PromptRefused::class)
    fun edit(index: Int, question: String, options: GenerationOptions, listener: GenerationListener): Answer =
        ask(question, options, turns.subList(0, index).toList()).write(listener)

    /** Takes the last turn back, such as one whose answer was unsuitable. */
    fun discard() {
        turns = turns.dropLast(1)
        beginnings.clear()
    }

    /** Ends the answer that is being written before its next token; what there is of it stays. */
    fun cancel() {
        run?.stop()
    }

    /**
     * Lets the model read what was said so far, so that the next answer does not wait for it: of use where a conversation
     * was restored. [options] are those of the next answer. False when [listener] or [cancel] broke it off.
     */
    fun read(options: GenerationOptions, listener: GenerationListener): Boolean {
        if (turns.isEmpty() || turns.last().answer == null) return true
        val window = generator.guard.alone { fit(turns, options) }
        // A last turn that is too long by itself is not read; the next question drops it.
        if (window.ids.size >= generator.info.context) return true
        val reading = generator.guard.begin {
            droppedTurns = window.dropped
            contextTokens = window.ids.size
            val tokens = generator.model.goOn(window.ids, 0, GreedySampler)
            TextRun(tokens, parts(), window.ids.size, 0, generator.guard).also { run = it }
        }
        return reading.write(listener).reason == EndReason.TOKEN_LIMIT
    }

    /** How many tokens the model would read of [question] by itself, template and system text included. */
    fun countTokens(question: String): Int =
        generator.guard.alone { window(listOf(Turn(question)), 0).ids.size }

    /** A conversation that begins with this one's turns and goes its own way; both share the model and its cache. */
    fun fork(): Conversation = Conversation(generator, system, turns).also { it.thinking = thinking }

    /** What there is to keep of it: see [restore]. [title] and [created] (ISO 8601) are yours to choose. */
    @JvmOverloads
    fun save(title: String? = null, created: String? = null): SavedConversation {
        val model = ModelName(generator.info.name, generator.info.modelSha256)
        return SavedConversation(title, created, model, system, thinking, turns)
    }

    private fun ask(question: String, options: GenerationOptions, before: List<Turn> = turns): Writing {
        if (isBlank(question)) throw emptyPrompt()
        if (generator.filter?.find(question) != null) throw unsuitablePrompt()
        return begin(before + Turn(question), options) { beginnings.clear() }
    }

    /** Everything that can be refused is refused before the conversation is changed. */
    private fun begin(asked: List<Turn>, options: GenerationOptions, taken: () -> Unit = {}): Writing {
        var writing: Writing? = null
        generator.guard.begin {
            val window = fit(asked, options)
            val context = generator.info.context
            if (window.ids.size >= context) throw longPrompt(window.ids.size, context)
            val known = minOf(generator.model.held(window.ids), window.ids.size - 1)
            val sampler = options.sampler(window.ids, generator.info.stopTokens)
            val tokens = generator.model.goOn(window.ids, options.maxTokens, sampler)
            taken()
            turns = asked
            droppedTurns = window.dropped
            contextTokens = window.ids.size
            TextRun(tokens, parts(), window.ids.size, 0, generator.guard).also {
                run = it
                writing = Writing(it, asked, window.ids.size - known)
            }
        }
        return checkNotNull(writing)
    }

    private fun parts(): AnswerParts {
        val thoughtful = template.thinking?.takeIf { thinking || it.always }
        val before = (thoughtful?.generation ?: template.generation).lastOrNull()
        val strips = template.assistant.trim.takesStart ||
            before is Segment.Text &&
            before.text.lastOrNull()?.let(::isBlank) == true
        return AnswerParts({ generator.model.decoder() }, generator.filter, thoughtful, strips)
    }

    /** What of [asked] the model reads: as many of the last turns as leave room for an answer, one at least. */
    private fun fit(asked: List<Turn>, options: GenerationOptions): ContextWindow {
        val context = generator.info.context
        val room = context - minOf(options.maxTokens, maxOf(LEAST_ANSWER, context / 4))
        return fitTurns(asked.size, room) { window(asked, it) }
    }

    private fun window(asked: List<Turn>, dropped: Int): ContextWindow {
        val segments = render(template, system, asked.subList(dropped, asked.size), thinking)
        return ContextWindow(dropped, generator.model.encode(segments))
    }

    /** An answer on its way: [asked] ends with the turn that grows. */
    private inner class Writing(private val text: TextRun, private val asked: List<Turn>, private val read: Int) {
        private val answer = StringBuilder()
        private val thought = StringBuilder()
        private val turn: Turn
            get() = Turn(asked.last().question, answer.toString(), thought.toString().ifEmpty { null })

        fun parts(): Sequence<ShownPart> = text.parts().onEach { grow(it.text, it.thought) }

        fun write(listener: GenerationListener): Answer = finish(text.write(Growing(listener)))

        private fun grow(text: String, thought: String) {
            answer.append(text)
            this.thought.append(thought)
            turns = asked.dropLast(1) + turn
        }

        private fun finish(result: GenerationResult): Answer {
            grow("", "")
            result.tokens.firstOrNull()?.let { beginnings.add(it) }
            contextTokens = result.promptTokens + result.tokens.size
            val tokens = result.tokens.size
            return Answer(turn, tokens, result.reason, result.tokensPerSecond, read, contextTokens)
        }

        private inner class Growing(private val listener: GenerationListener) : GenerationListener {
            override fun onRead(read: Int, total: Int): Boolean = listener.onRead(read, total)

            override fun onThought(part: String): Boolean {
                grow("", part)
                return listener.onThought(part)
            }

            override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean {
                if (part.isNotEmpty()) grow(part, "")
                return listener.onToken(part, tokens, tokensPerSecond)
            }
        }
    }

    companion object {
        /** An answer gets room for so many tokens, or a quarter of the context if that is more. */
        private const val LEAST_ANSWER = 16

        /**
         * Goes on with a conversation that was saved, perhaps by another model: its turns then say so.
         *
         * @throws IllegalArgumentException when the model has no chat template.
         */
        @JvmStatic
        fun restore(generator: TextGenerator, saved: SavedConversation): Conversation {
            val info = generator.info
            val same = saved.model?.let { it.name == info.name && it.sha256 in setOf(null, info.modelSha256) }
            val other = if (same == false) saved.model.name else null
            val turns = if (other == null) saved.turns else saved.turns.map { it.copy(model = it.model ?: other) }
            return Conversation(generator, saved.system, turns).also { it.thinking = saved.thinking }
        }
    }
}
