package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.GenerationListener
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import dev.kerasfarm.generation.model.ModelInfo
import org.json.JSONObject
import java.io.File

/**
 * How fast a model is on this phone: medians of [runs] runs, each of which read [promptTokens] tokens and wrote
 * [newTokens]. Times in seconds; [peakMemoryBytes] is the most that the process ever had in memory, null where the
 * system does not say.
 */
data class Measurement(
    val model: ModelInfo,
    val threads: Int,
    val runs: Int,
    val promptTokens: Int,
    val newTokens: Int,
    val firstTokenSeconds: Double,
    val tokensPerSecond: Double,
    val peakMemoryBytes: Long?,
) {
    /** What `farm import-metrics` takes in. */
    fun toJson(device: Device): String {
        val json = JSONObject()
            .put("format", 1)
            .put("kind", "keras-farm-measurement")
            .put("device", device.name)
            .put("android", device.android)
            .put("abi", device.abi)
            .put("app_version", device.appVersion)
            .put("model", model.name)
            .put("recipe", model.recipe)
            .put("model_sha256", model.modelSha256)
            .put("threads", threads)
            .put("runs", runs)
            .put("prompt_tokens", promptTokens)
            .put("new_tokens", newTokens)
            .put("first_token_seconds", firstTokenSeconds)
            .put("tokens_per_second", tokensPerSecond)
            .put("peak_memory_bytes", peakMemoryBytes ?: JSONObject.NULL)
        return json.toString(1)
    }
}

/** Where it was measured: [name] of the phone, [android] its version, [abi] its processor's type. */
data class Device(val name: String, val android: String, val abi: String, val appVersion: String)

private const val RUNS = 3
private const val PROMPT_TOKENS = 32
private const val NEW_TOKENS = 48
private const val NANOSECONDS = 1e9
private const val TEXT = "The quick brown fox jumps over the lazy dog, and then it goes on to the river to drink. "

/** Measures [generator] after a run that warms it up; null when [cancelled]. Takes seconds. */
fun measure(generator: TextGenerator, cancelled: () -> Boolean): Measurement? {
    val context = generator.info.context
    val window = minOf(PROMPT_TOKENS, context / 2)
    val limit = minOf(NEW_TOKENS, context - window)
    // Every run writes as much: an early end would be another measurement.
    val options = GenerationOptions(limit, window, minTokens = limit)
    val runs = List(RUNS + 1) { Run.of(generator, options, cancelled) ?: return null }.drop(1)
    return Measurement(
        model = generator.info,
        threads = generator.threads,
        runs = RUNS,
        promptTokens = runs.first().promptTokens,
        newTokens = limit,
        firstTokenSeconds = median(runs.map { it.firstTokenSeconds }),
        tokensPerSecond = median(runs.map { it.tokensPerSecond }),
        peakMemoryBytes = peakMemory(),
    )
}

private data class Run(val firstTokenSeconds: Double, val tokensPerSecond: Double, val promptTokens: Int) {
    companion object {
        fun of(generator: TextGenerator, options: GenerationOptions, cancelled: () -> Boolean): Run? {
            val began = System.nanoTime()
            var first = 0L
            val watch = object : GenerationListener {
                override fun onRead(read: Int, total: Int): Boolean = !cancelled()

                override fun onToken(part: String, tokens: Int, tokensPerSecond: Double): Boolean {
                    if (first == 0L) first = System.nanoTime()
                    return !cancelled()
                }
            }
            val result = generator.generate(TEXT.repeat(PROMPT_TOKENS), options, watch)
            if (cancelled()) return null
            return Run((first - began) / NANOSECONDS, result.tokensPerSecond, result.promptTokens)
        }
    }
}

private fun median(values: List<Double>): Double = values.sorted()[values.size / 2]

/** The process's largest resident size so far. */
private fun peakMemory(): Long? =
    File("/proc/self/status").takeIf { it.canRead() }?.useLines { lines ->
        val line = lines.firstOrNull { it.startsWith("VmHWM:") }
        line?.filter { it.isDigit() }?.toLongOrNull()?.times(1024)
    }
