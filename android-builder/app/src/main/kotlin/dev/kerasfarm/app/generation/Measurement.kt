package dev.kerasfarm.app.generation

import dev.kerasfarm.generation.decoding.AppModel
import dev.kerasfarm.generation.decoding.GreedySampler
import dev.kerasfarm.generation.decoding.Sampler
import dev.kerasfarm.generation.engine.CpuThreads
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

/** Measures [model] after a run that warms it up; null when [cancelled]. Takes seconds. */
fun measure(model: AppModel, cancelled: () -> Boolean): Measurement? {
    val context = model.info.context
    val prompt = model.prompt(model.encode(TEXT.repeat(PROMPT_TOKENS)), minOf(PROMPT_TOKENS, context / 2))
    val limit = minOf(NEW_TOKENS, context - prompt.size)
    val runs = List(RUNS + 1) { Run.of(model, prompt, limit, cancelled) ?: return null }.drop(1)
    return Measurement(
        model = model.info,
        threads = CpuThreads.threads(),
        runs = RUNS,
        promptTokens = prompt.size,
        newTokens = limit,
        firstTokenSeconds = median(runs.map { it.firstTokenSeconds }),
        tokensPerSecond = median(runs.map { it.tokensPerSecond }),
        peakMemoryBytes = peakMemory(),
    )
}

private data class Run(val firstTokenSeconds: Double, val tokensPerSecond: Double) {
    companion object {
        fun of(model: AppModel, prompt: IntArray, limit: Int, cancelled: () -> Boolean): Run? {
            val began = System.nanoTime()
            var first = 0L
            val generation = model.write(prompt, limit, endless(model.info.stopTokens), cancelled) {
                if (first == 0L) first = System.nanoTime()
            }
            return if (cancelled()) null else Run((first - began) / NANOSECONDS, generation.tokensPerSecond)
        }
    }
}

/** Never ends the text, so that every run writes as much. */
private fun endless(stopTokens: Set<Int>) = Sampler { logits ->
    for (id in stopTokens) logits[id] = Float.NEGATIVE_INFINITY
    GreedySampler.choose(logits)
}

private fun median(values: List<Double>): Double = values.sorted()[values.size / 2]

/** The process's largest resident size so far. */
private fun peakMemory(): Long? =
    File("/proc/self/status").takeIf { it.canRead() }?.useLines { lines ->
        val line = lines.firstOrNull { it.startsWith("VmHWM:") }
        line?.filter { it.isDigit() }?.toLongOrNull()?.times(1024)
    }
