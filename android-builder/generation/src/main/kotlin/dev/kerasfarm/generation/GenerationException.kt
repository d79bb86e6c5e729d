package dev.kerasfarm.generation

/** What can go wrong in [TextGenerator]; the message is a sentence for people. */
sealed class GenerationException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** The model's files are missing, damaged, do not belong together, or need another version of this library. */
class ModelRefused internal constructor(message: String, cause: Throwable?) : GenerationException(message, cause)

/** The prompt has nothing to go on from, or a word that the filter does not let through. */
class PromptRefused internal constructor(message: String) : GenerationException(message)
