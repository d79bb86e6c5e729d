package dev.kerasfarm.generation

import android.content.res.AssetManager
import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.PlainParts
import dev.kerasfarm.generation.engine.CpuThreads
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.model.ModelInfo
import java.io.Closeable
import java.io.File

/**
 * A language model that writes on from a prompt. This class, its options, results and exceptions are the library's
 * interface; the packages below may change.
 *
 * ```
 * TextGenerator.open(context.assets).use { generator ->
 *     generator.generate("Once upon a time", GenerationOptions(maxTokens = 40)).forEach { part -> append(part) }
 * }
 * ```
 *
 * Opening and writing take time: do both on a thread of your own, never on the main one. The model is mapped into
 * memory, not copied; open it once and keep it. One text is written at a time: a new one ends the one before, whose
 * sequence then throws IllegalStateException, as every call does after [close]. All functions may be called from any
 * thread.
 */
class TextGenerator private constructor(internal val model: AppModel, internal val filter: WordFilter?) : Closeable {
    internal val guard = Guard()

    /** What the farm wrote down about the model: its name, recipe, context. */
    val info: ModelInfo get() = model.info

    /** How many threads compute: one for each fast core, at most four. */
    val threads: Int get() = CpuThreads.threads()

    /**
     * Writes on from [prompt] (a model that answers questions wants `info.prompting.fill(question)`): the sequence gives
     * the text in parts as it is written, and writes no further than you read. It can be read once. With a filter only
     * whole words are given, and the text ends before an unsuitable one.
     *
     * @throws PromptRefused when the prompt is empty, unsuitable or, where that matters, too long.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun generate(prompt: String, options: GenerationOptions = GenerationOptions()): Sequence<String> =
        begin(prompt, options).parts().map { it.text }.filter { it.isNotEmpty() }.constrainOnce()

    /**
     * The same for a caller that wants to be called: [part] gets the text as it is written and answers whether to go
     * on. Returns when the text has ended.
     *
     * @throws PromptRefused when the prompt is empty, unsuitable or, where that matters, too long.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun generate(
        prompt: String,
        options: GenerationOptions = GenerationOptions(),
        part: (String) -> Boolean,
    ): GenerationResult = generate(prompt, options, PartListener(part))

    /**
     * The same for a caller that wants to know more: [listener] is told of the prompt's reading, and of every token.
     *
     * @throws PromptRefused when the prompt is empty, unsuitable or, where that matters, too long.
     */
    @Throws(PromptRefused::class)
    fun generate(prompt: String, options: GenerationOptions, listener: GenerationListener): GenerationResult =
        begin(prompt, options).write(listener)

    /** Ends the text that is being written before its next token: its result says [EndReason.STOPPED]. */
    fun stop() = guard.stop()

    /** Gives the model's memory back. */
    override fun close() = guard.close { model.close() }

    private fun begin(prompt: String, options: GenerationOptions): TextRun {
        if (filter?.find(prompt) != null) throw unsuitablePrompt()
        return guard.begin {
            val tokens = model.encode(prompt)
            val window = windowFor(options.contextWindow, info.context)
            val read = model.prompt(tokens, window)
            if (read.isEmpty()) throw emptyPrompt()
            val whole = tokens.size + (if (info.startToken == null) 0 else 1)
            if (options.wholePrompt && whole > window) throw longPrompt(whole, window)
            val sampler = options.sampler(read, info.stopTokens)
            val run = model.start(read, options.maxTokens, sampler)
            TextRun(run, PlainParts(model.decoder(), filter), read.size, whole - read.size, guard)
        }
    }

    companion object {
        /**
         * Opens the model in an app's assets: `autocomplete.tflite` (stored without compression), `tokenizer.json` and
         * `model-info.json`, as they come with the farm's library when it was asked for the model too.
         *
         * @param filtered whether prompts and texts with words of the lists in `assets/filter` are held back.
         * @throws ModelRefused with a sentence when there is no model or it cannot be used.
         */
        @JvmStatic
        @JvmOverloads
        @Throws(ModelRefused::class)
        fun open(assets: AssetManager, filtered: Boolean = true): TextGenerator =
            open(AssetFiles(assets), AssetFiles(assets), filtered)

        /**
         * Opens a model whose files lie in a folder under the same names, for example because the app fetched them.
         *
         * @param assets the app's assets, where the library's own files are; null: they lie in [folder] too, as on a
         *   computer without Android.
         * @throws ModelRefused with a sentence when there is no model or it cannot be used.
         */
        @JvmStatic
        @JvmOverloads
        @Throws(ModelRefused::class)
        fun open(folder: File, assets: AssetManager? = null, filtered: Boolean = true): TextGenerator {
            val files = FolderFiles(folder)
            return open(files, if (assets == null) files else AssetFiles(assets), filtered)
        }

        /**
         * The same as the first, for an app that has read the model's description before: see [readModelInfo].
         *
         * @throws ModelRefused with a sentence when the model cannot be used.
         */
        @JvmStatic
        @Throws(ModelRefused::class)
        fun open(assets: AssetManager, info: ModelInfo, filtered: Boolean): TextGenerator {
            val files = AssetFiles(assets)
            return open(files, files, filtered) { info }
        }

        private fun open(
            files: ModelFiles,
            library: ModelFiles,
            filtered: Boolean,
            info: () -> ModelInfo = { readModelInfo(files) },
        ): TextGenerator = refusing {
            TextGenerator(openModel(files, library, info()), if (filtered) openWordFilter(library) else null)
        }
    }
}
