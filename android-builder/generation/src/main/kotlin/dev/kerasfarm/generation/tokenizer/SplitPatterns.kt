package dev.kerasfarm.generation.tokenizer

/** The regular expressions of published tokenizers, letter for letter, that were compared with the reference. */
internal object SplitPatterns {
    private const val CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private const val SPACES = """\s*[\r\n]+|\s+(?!\S)|\s+"""
    private const val LEAD = """[^\r\n\p{L}\p{N}]?"""
    private const val UPPER = """[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"""
    private const val LOWER = """[\p{Ll}\p{Lm}\p{Lo}\p{M}]"""

    const val GPT2 = """'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
    private const val SIGNS = """ ?[^\s\p{L}\p{N}]+[\r\n]*"""
    private const val LLAMA3 = """$CONTRACTIONS|$LEAD\p{L}+|\p{N}{1,3}|$SIGNS|$SPACES"""
    private const val QWEN2 = """$CONTRACTIONS|$LEAD\p{L}+|\p{N}|$SIGNS|$SPACES"""
    private const val TEKKEN =
        """$LEAD$UPPER*$LOWER+|$LEAD$UPPER+$LOWER*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|$SPACES"""
    private const val O200K = "$LEAD$UPPER*$LOWER+$CONTRACTIONS?|$LEAD$UPPER+$LOWER*$CONTRACTIONS?|" +
        """\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|$SPACES"""
    private const val BLOOM = """ ?[^(\s|[.,!?…。，、।۔،])]+"""
    private const val FALCON = "[0-9][0-9][0-9]"
    private const val DEEPSEEK_NUMBERS = """\p{N}{1,3}"""
    private const val DEEPSEEK_CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
    private const val DEEPSEEK_WORDS = "[!\"#\$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" +
        "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

    /** Those that leave no character of a text over. */
    val WHOLE: Set<String> = setOf(LLAMA3, QWEN2, TEKKEN, O200K)

    /** Those that match parts of a text. */
    val PARTS: Set<String> = setOf(BLOOM, FALCON, DEEPSEEK_NUMBERS, DEEPSEEK_CJK, DEEPSEEK_WORDS)
}
