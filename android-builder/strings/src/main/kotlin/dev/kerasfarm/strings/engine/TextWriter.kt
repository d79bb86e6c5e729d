package dev.kerasfarm.strings.engine

import java.io.Closeable

/** The signature of the runbook: a prompt in, the whole text out. */
const val DEFAULT = "serving_default"

/** The farm's signature with settings. */
const val GENERATE = "generate"
const val PROMPT = "prompt"
const val OUTPUT = "output_0"
private val SETTINGS = setOf("max_new_tokens", "temperature", "top_k", "seed")

/** What runs the model: TFLite's interpreter in the app, something else in tests. */
interface StringRunner : Closeable {
    /** The names of the inputs, by signature. */
    val signatures: Map<String, Set<String>>

    /** Runs a signature and gives the bytes of its output `output_0`; throws [Cancelled] after [cancel]. */
    fun run(signature: String, prompt: ByteArray, settings: Map<String, Any>): ByteArray

    /** Stops a run of another thread as soon as it may. */
    fun cancel()
}

/** A run was stopped. */
class Cancelled : Exception("the run was stopped")

/** How a text is to be written. [temperature] 0: the likeliest token each time; [topK] 0: as many as there are. */
data class Options(val limit: Int, val temperature: Float = 0f, val topK: Int = 0, val seed: Int = 0)

/** What came of a prompt; [left] bytes at its beginning had no place in what the model reads. */
data class Written(val answer: Answer, val left: Int)

/** Writes text with a model that takes strings, whatever wrote it: the farm's portable graph or KerasHub's own. */
class TextWriter(private val runner: StringRunner, private val promptLimit: Int) : Closeable {
    /** Whether length, temperature and seed have any effect; without, the same prompt gives the same text. */
    val adjustable: Boolean

    init {
        val inputs = runner.signatures[DEFAULT] ?: throw ModelUnusable("it has no signature $DEFAULT")
        if (inputs != setOf(PROMPT)) throw ModelUnusable("its signature $DEFAULT takes other inputs than $PROMPT")
        adjustable = runner.signatures[GENERATE] == SETTINGS + PROMPT
    }

    /** Writes on from the end of [text]. */
    fun write(text: String, options: Options): Written {
        val prompt = promptBytes(text, promptLimit)
        val output = if (adjustable) {
            runner.run(GENERATE, prompt.bytes, settings(options))
        } else {
            runner.run(DEFAULT, prompt.bytes, emptyMap())
        }
        return Written(answerOf(prompt.bytes, output), prompt.left)
    }

    private fun settings(options: Options): Map<String, Any> = mapOf(
        "max_new_tokens" to intArrayOf(options.limit),
        "temperature" to floatArrayOf(options.temperature),
        "top_k" to intArrayOf(options.topK),
        "seed" to intArrayOf(options.seed),
    )

    /** Stops a writing of another thread. */
    fun cancel() = runner.cancel()

    override fun close() = runner.close()
}
