package dev.kerasfarm.generation

import dev.kerasfarm.generation.engine.MemoryFull

/** What can go wrong in this library; the message is a sentence for people. */
sealed class GenerationException(message: String, cause: Throwable? = null) : Exception(message, cause)

/**
 * The model's files are missing, damaged, do not belong together, or need another version of this library.
 *
 * @property reason what kind of trouble it is, for an app that has its own words for it.
 * @property detail the name of the missing file, or what is wrong with the model, without a capital and a full stop.
 */
class ModelRefused internal constructor(val reason: Reason, val detail: String, cause: Throwable?) :
    GenerationException(sentence(reason, detail), cause) {
    /** Why a model is refused. */
    enum class Reason {
        /** A file is not among the package's assets or in the folder. */
        MISSING,

        /** The model comes without a tokenizer that this library can use. */
        NO_TOKENIZER,

        /** There is no native library for this processor. */
        NO_RUNTIME,

        /** The files are damaged, cannot be read, or do not fit together. */
        UNUSABLE,
    }
}

private fun sentence(reason: ModelRefused.Reason, detail: String): String = when (reason) {
    ModelRefused.Reason.MISSING -> "There is no file $detail."
    ModelRefused.Reason.NO_RUNTIME -> "There is no native library for this processor."
    else -> detail.replaceFirstChar { it.uppercase() }.trimEnd('.') + "."
}

/**
 * The model does not take the prompt.
 *
 * @property reason why.
 * @property tokens how many tokens the prompt has, and [room] how many the model has room for; 0 where that is not the
 *   reason.
 */
class PromptRefused internal constructor(message: String, val reason: Reason, val tokens: Int = 0, val room: Int = 0) :
    GenerationException(message) {
    /** Why a prompt is refused. */
    enum class Reason {
        /** There is nothing to go on from. */
        EMPTY,

        /** It has a word that the filter does not let through. */
        UNSUITABLE,

        /** It has more tokens than there is room for. */
        TOO_LONG,
    }
}

/** A file is no conversation, or one that this library cannot read. */
class ConversationRefused internal constructor(message: String, cause: Throwable? = null) :
    GenerationException(message, cause)

internal fun emptyPrompt() = PromptRefused("The prompt is empty; give at least one word.", PromptRefused.Reason.EMPTY)

internal fun unsuitablePrompt() =
    PromptRefused("The prompt has words that this app does not take.", PromptRefused.Reason.UNSUITABLE)

internal fun longPrompt(tokens: Int, room: Int) = PromptRefused(
    "The prompt has $tokens tokens and the model has room for $room; shorten it.",
    PromptRefused.Reason.TOO_LONG,
    tokens,
    room,
)

internal fun crowdedPrompt(tokens: Int, error: MemoryFull) = PromptRefused(
    "The prompt has $tokens tokens and this device has memory for ${error.fits}; shorten it or close other apps.",
    PromptRefused.Reason.TOO_LONG,
    tokens,
    error.fits,
)
