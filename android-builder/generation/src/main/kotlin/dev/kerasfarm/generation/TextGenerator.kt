package dev.kerasfarm.generation

import android.content.res.AssetManager
import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.decoding.TokenRun
import dev.kerasfarm.generation.decoding.TokenizerMissing
import dev.kerasfarm.generation.decoding.windowFor
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.ModelInfoUnusable
import dev.kerasfarm.generation.tokenizer.TokenizerUnusable
import java.io.Closeable
import java.io.File
import java.io.IOException

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
class TextGenerator private constructor(private val model: AppModel, private val filter: WordFilter?) : Closeable {
    private val lock = Any()
    private var latest: TokenRun? = null
    private var closed = false

    /** What the farm wrote down about the model: its name, recipe, context. */
    val info: ModelInfo get() = model.info

    /**
     * Writes on from [prompt] (a model that answers questions wants `info.prompting.fill(question)`): the sequence gives
     * the text in parts as it is written, and writes no further than you read. It can be read once. With a filter only
     * whole words are given, and the text ends before an unsuitable one.
     *
     * @throws PromptRefused when the prompt is empty or unsuitable.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun generate(prompt: String, options: GenerationOptions = GenerationOptions()): Sequence<String> =
        Writing(prompt, options).parts().constrainOnce()

    /**
     * The same for a caller that wants to be called: [part] gets the text as it is written and answers whether to go
     * on. Returns when the text has ended.
     *
     * @throws PromptRefused when the prompt is empty or unsuitable.
     */
    @JvmOverloads
    @Throws(PromptRefused::class)
    fun generate(
        prompt: String,
        options: GenerationOptions = GenerationOptions(),
        part: (String) -> Boolean,
    ): GenerationResult {
        val writing = Writing(prompt, options)
        val stopped = writing.parts().any { !part(it) }
        return writing.result(stopped)
    }

    /** Gives the model's memory back. */
    override fun close() = synchronized(lock) {
        if (!closed) model.close()
        closed = true
    }

    /** One text, from its prompt to its end. */
    private inner class Writing(prompt: String, options: GenerationOptions) {
        private val tokens = ArrayList<Int>()
        private val text = StringBuilder()
        private val shown = FilteredText(filter)
        private val decoder = model.decoder()
        private val run: TokenRun
        private var nanoseconds = 0L

        init {
            if (filter?.find(prompt) != null) throw PromptRefused("The prompt has words that this app does not take.")
            synchronized(lock) {
                check(!closed) { "the generator is closed" }
                val read = model.prompt(model.encode(prompt), windowFor(options.contextWindow, info.context))
                if (read.isEmpty()) throw PromptRefused("The prompt is empty; give at least one word.")
                run = model.start(read, options.maxTokens, options.sampling.sampler(read))
                latest = run
            }
        }

        fun parts(): Sequence<String> = sequence {
            step { run.read { false } }
            while (!shown.unsuitable) {
                val token = step { timed { run.next() } } ?: break
                tokens.add(token)
                give(shown.push(decoder.push(token)))
            }
            if (!shown.unsuitable) {
                give(shown.push(decoder.finish()))
                give(shown.finish())
            }
        }

        fun result(stopped: Boolean): GenerationResult {
            val reason = when {
                shown.unsuitable -> EndReason.UNSUITABLE
                stopped -> EndReason.STOPPED
                else -> checkNotNull(run.reason).asEndReason()
            }
            val rate = if (nanoseconds > 0) tokens.size * NANOSECONDS / nanoseconds else 0.0
            return GenerationResult(text.toString(), tokens.toIntArray(), reason, rate)
        }

        private suspend fun SequenceScope<String>.give(part: String) {
            text.append(part)
            if (part.isNotEmpty()) yield(part)
        }

        private fun <T> step(work: () -> T): T = synchronized(lock) {
            check(!closed) { "the generator is closed" }
            check(latest === run) { "another text was begun" }
            work()
        }

        private fun <T> timed(work: () -> T): T {
            val began = System.nanoTime()
            return work().also { nanoseconds += System.nanoTime() - began }
        }
    }

    companion object {
        private const val NANOSECONDS = 1e9

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

        private fun open(files: ModelFiles, library: ModelFiles, filtered: Boolean): TextGenerator =
            try {
                TextGenerator(openModel(files, library), if (filtered) openWordFilter(library) else null)
            } catch (error: ModelUnusable) {
                throw ModelRefused(sentence(error), error)
            } catch (error: ModelInfoUnusable) {
                throw ModelRefused(sentence(error), error)
            } catch (error: TokenizerUnusable) {
                throw ModelRefused(sentence(error), error)
            } catch (error: TokenizerMissing) {
                throw ModelRefused(sentence(error), error)
            } catch (error: ModelMissing) {
                throw ModelRefused(sentence(error), error)
            } catch (error: IOException) {
                throw ModelRefused("A file of the model is missing or cannot be read (${error.message}).", error)
            } catch (error: LinkageError) {
                throw ModelRefused("There is no native library for this processor.", error)
            }

        private fun sentence(error: Exception): String =
            error.message.orEmpty().replaceFirstChar { it.uppercase() }.trimEnd('.') + "."
    }
}
