package dev.kerasfarm.app.generation

import dev.kerasfarm.app.chat.ChatState
import dev.kerasfarm.generation.model.ModelInfo

/** What the session is doing. */
enum class Phase { CLOSED, OPENING, READY, READING, WRITING, MEASURING }

/** Something that the user should know, without words: the screen has these in its own language. */
sealed interface Notice {
    /** What was written is not taken, and stays its writer's to change. */
    sealed interface Refusal : Notice

    /** The context is full, so writing stopped early. */
    data object ContextFull : Notice

    /** There is no memory for a text of more than [tokens] tokens, prompt included, so writing stopped early. */
    data class MemoryFull(val tokens: Int) : Notice

    /** The prompt leaves no room: it has [tokens] tokens where the context has [context] places. */
    data class LongPrompt(val tokens: Int, val context: Int) : Refusal

    /** The model read the last [read] tokens of the prompt; [left] before them had no place in the window. */
    data class PromptCut(val read: Int, val left: Int) : Notice

    /** The prompt has words that the app does not take. */
    data object UnsuitablePrompt : Refusal

    /** The model wrote words that the app does not show. */
    data object UnsuitableText : Notice

    /** The model ended its text before the first word. */
    data object NothingToSay : Notice

    /** There is nothing to go on from. */
    data object EmptyPrompt : Refusal

    /** The app was built without a model: there is no [file]. */
    data class NoModel(val file: String) : Notice

    /** The app's own files are damaged or do not fit together; [detail] says which. */
    data class Unusable(val detail: String) : Notice

    /** The phone has too little memory. */
    data object NoMemory : Notice

    /** There is no native library for this processor. */
    data object NoRuntime : Notice

    /** The last answer has words that the app does not show; it ends before them and can be taken back. */
    data object UnsuitableAnswer : Notice

    /** Something is wrong with where conversations are kept; it stays shown while the conversation goes on. */
    sealed interface Keeping : Notice

    /** The conversations could not be read; their [file] was moved aside. */
    data class StoreDamaged(val file: String) : Keeping

    /** There is no room to keep what is said. */
    data object StorageFull : Keeping

    /** The conversations can be neither read nor kept, because of [detail]. */
    data class StoreFailed(val detail: String) : Keeping

    /** The model comes without a tokenizer that the app can use. */
    data object NoTokenizer : Notice
}

/**
 * All that a screen shows. [prompt] is the one that [text] goes on from or answers, the [attempt]th text after it;
 * [tokens] and [tokensPerSecond] are those of the running or the last generation; [info] is there once the app knows
 * its model, a moment before it is open. [chat] is the conversation in the mode chat.
 */
data class SessionState(
    val phase: Phase = Phase.CLOSED,
    val info: ModelInfo? = null,
    val prompt: String = "",
    val text: String = "",
    val attempt: Int = 0,
    val tokens: Int = 0,
    val tokensPerSecond: Double = 0.0,
    val stopped: Boolean = false,
    val notice: Notice? = null,
    val measurement: Measurement? = null,
    val chat: ChatState = ChatState(),
) {
    /** Whether a text is being written. */
    val writing: Boolean get() = phase == Phase.READING || phase == Phase.WRITING

    /** Whether the model is at work. */
    val busy: Boolean get() = writing || phase == Phase.MEASURING

    /** Whether the screens know what to show: the kind of model, or that there is none. */
    val known: Boolean get() = info != null || notice != null
}
