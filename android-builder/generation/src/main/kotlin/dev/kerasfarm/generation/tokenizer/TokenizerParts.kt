package dev.kerasfarm.generation.tokenizer

/** What every kind is made of: the file's [settings], its tokens, and the table of code point classes. */
internal class TokenizerParts(
    val settings: TokenizerSettings,
    val vocabulary: Vocabulary,
    val merges: MergeTable,
    val classes: CodePointClasses,
    val readsSpecial: Boolean,
) {
    // Gemma adds 6,415 tokens: what finds them is made when a text is there.
    private val addedById by once { settings.added.associateBy { it.id } }
    private val raw by once { finder { !it.normalized } }
    private val normalized by once { finder { it.normalized } }

    /** One more than the largest token id. */
    val size: Int = maxOf(vocabulary.size, (settings.added.maxOfOrNull { it.id } ?: -1) + 1)

    /** The tokenizer of the kind that the settings describe; [TokenizerUnusable] where the app has none. */
    fun tokenizer(): Tokenizer = when (settings.model) {
        SettingsReader.BPE -> if (settings.byteFallback) SentencePieceBpe(this) else ByteLevelBpe(this)
        else -> throw TokenizerUnusable("tokenizer.json is of the kind ${settings.model}, which this app does not have")
    }

    /** What a token prints; null for a special token and an id without a token. */
    fun printed(id: Int): String? {
        val added = addedById[id] ?: return vocabulary.piece(id)
        return if (added.special) null else added.content
    }

    /**
     * Calls [section] with each part of [text] between added tokens, normalized, and whether the text begins with it;
     * adds the ids of added tokens to [ids]. [special]: special tokens are read. [begins]: nothing stands before the text.
     */
    fun sections(
        text: String,
        ids: IntList,
        special: Boolean = readsSpecial,
        begins: Boolean = true,
        section: (String, Boolean) -> Unit,
    ) {
        raw.split(
            replaceLoneSurrogates(text),
            special,
            { part, begin ->
                normalized.split(
                    settings.normalization.fold(part) { so, step -> step.apply(so) },
                    special,
                    { inner, innerBegin -> section(inner, begins && begin == 0 && innerBegin == 0) },
                    ids::add,
                )
            },
            ids::add,
        )
    }

    private fun finder(which: (AddedToken) -> Boolean) =
        AddedTokens(settings.added.filter(which), classes)

    private fun <T> once(make: () -> T) = lazy(LazyThreadSafetyMode.NONE, make)
}
