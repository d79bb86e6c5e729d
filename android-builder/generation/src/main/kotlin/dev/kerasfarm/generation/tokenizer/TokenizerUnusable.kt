package dev.kerasfarm.generation.tokenizer

/** The tokenizer's files are damaged or ask for something that this tokenizer does not do. */
class TokenizerUnusable(message: String, cause: Throwable? = null) : Exception(message, cause)
