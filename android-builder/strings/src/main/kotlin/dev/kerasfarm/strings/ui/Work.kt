package dev.kerasfarm.strings.ui

import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.strings.engine.ModelUnusable
import dev.kerasfarm.strings.engine.Options
import dev.kerasfarm.strings.engine.Outcome
import dev.kerasfarm.strings.engine.StringsInfo
import dev.kerasfarm.strings.engine.TextWriter
import dev.kerasfarm.strings.engine.write
import java.io.IOException
import java.util.concurrent.Executors

/** An opened model with its description. */
class OpenModel(val info: StringsInfo, val writer: TextWriter)

/** What is to be seen. [fault]: why the model can't be used; [memory]: it was for want of memory. */
data class Seen(
    val info: StringsInfo? = null,
    val busy: Boolean = false,
    val prompt: String = "",
    val outcome: Outcome? = null,
    val fault: String? = null,
    val memory: Boolean = false,
)

/**
 * One model and one text at a time, on a thread of its own. All public functions are called on the main thread, on which
 * [post] runs something.
 */
class Work(
    private val openModel: () -> OpenModel,
    private val openFilter: () -> WordFilter?,
    private val post: (Runnable) -> Unit,
) {
    private val thread = Executors.newSingleThreadExecutor { task -> Thread(task, "model") }
    private val filter by lazy(openFilter) // by the thread alone

    @Volatile
    private var model: OpenModel? = null

    /** What is to be seen now. */
    @Volatile
    var seen = Seen()
        private set

    /** Is told on the main thread that [seen] changed. */
    var observer: (() -> Unit)? = null

    /** Opens the model unless it is open. */
    fun prepare() {
        if (model == null && !seen.busy) perform({ it }) { ready().let { seen } }
    }

    /** Writes on from [prompt]; does nothing while a text is being written. */
    fun write(prompt: String, options: Options) {
        if (seen.busy) return
        perform({ it.copy(prompt = prompt, outcome = null) }) {
            val open = ready()
            val limit = options.limit.coerceIn(1, open.info.outputTokens)
            seen.copy(outcome = write(open.writer, filter, prompt, options.copy(limit = limit)))
        }
    }

    /** Stops the text that is being written. */
    fun stop() {
        model?.writer?.cancel()
    }

    /** Stops and closes the model, to give its memory back. */
    fun release() {
        stop()
        thread.execute {
            model?.writer?.close()
            model = null
        }
    }

    private fun ready(): OpenModel = model ?: openModel().also {
        model = it
        change(seen.copy(info = it.info))
    }

    private fun perform(first: (Seen) -> Seen, work: () -> Seen) {
        change(first(seen).copy(busy = true, fault = null, memory = false))
        thread.execute {
            val result = try {
                work()
            } catch (error: ModelUnusable) {
                seen.copy(fault = error.message.orEmpty())
            } catch (error: IOException) {
                seen.copy(fault = "a file of the app cannot be read (${error.message})")
            } catch (_: LinkageError) {
                seen.copy(fault = "there is no TensorFlow Lite with Flex for this processor")
            } catch (_: OutOfMemoryError) {
                seen.copy(memory = true)
            }
            change(result.copy(busy = false))
        }
    }

    private fun change(next: Seen) {
        seen = next
        post { observer?.invoke() }
    }
}
