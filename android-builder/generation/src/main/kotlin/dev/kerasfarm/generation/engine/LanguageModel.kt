package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.BuiltinOpResolver
import org.bytedeco.tensorflowlite.FlatBufferModel
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.InterpreterBuilder
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorByteSize
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.io.Closeable
import java.nio.MappedByteBuffer

/**
 * A decoder-only model in TensorFlow Lite, memory-mapped, with its key-value cache.
 *
 * Not safe for use from several threads at once. Tokens are given in order: the caller counts their places.
 */
internal class LanguageModel private constructor(private val native: NativeModel) : Closeable {
    private val cache: KeyValueCache
    private val decode: Signature
    private val prefill: Map<Int, Lazy<Signature>>
    private val verify: Signature?
    private var scored: Signature

    /** How many places the cache has. */
    val context: Int

    /** How many logits a step gives. */
    val vocabularySize: Int get() = decode.vocabularySize

    /** How many tokens the signatures that read a prompt take, ascending. */
    val prefillLengths: List<Int>

    init {
        // What writes texts shares an interpreter, and so its threads; a prefill waits for a prompt that is long enough.
        val verifyKey = native.signatureKeys.filter { it.startsWith(VERIFY) }.maxByOrNull { lengthOf(it) }
        val runners = native.runners(listOfNotNull(DECODE, verifyKey))
        val runner = runners.getValue(DECODE)
        val sizes = cacheSizes(runner)
        context = native.contextOf(runner, sizes.keys.first())
        cache = KeyValueCache(sizes)
        try {
            decode = Signature(DECODE, runner, cache, givesLogits = true)
            if (decode.length != 1 || decode.vocabularySize == 0) {
                throw ModelUnusable("the signature $DECODE does not turn one token into logits")
            }
            scored = decode
            verify = verifyKey?.let { Signature(it, runners.getValue(it), cache, givesLogits = true) }
            if (verify != null && verify.vocabularySize != decode.vocabularySize) {
                throw ModelUnusable("its signatures have vocabularies of different sizes")
            }
        } catch (error: ModelUnusable) {
            cache.close()
            throw error
        }
        // Each prefill in use holds all weights once more: the one that gives logits too does for a short one.
        val shortest = SHORT_PREFILLS * (verify?.length ?: 0)
        prefill = native.signatureKeys.filter { it.startsWith(PREFILL) && lengthOf(it) > shortest }
            .associate { lengthOf(it) to lazy(LazyThreadSafetyMode.NONE) { openPrefill(it) } }
            .plus(listOfNotNull(verify).map { it.length to lazyOf(it) })
        prefillLengths = prefill.keys.sorted()
    }

    /** Forgets all tokens. */
    fun reset() = cache.clear()

    /**
     * The runs that put `count` tokens from place [position] on into the cache; run each with [runPrefill].
     */
    fun prefillPlan(count: Int, position: Int): List<PrefillStep> =
        planPrefill(count, prefillLengths, position, context)

    /** One run of a plan, over `tokens[from until from + step.count]` at the places from [position] on. */
    fun runPrefill(step: PrefillStep, tokens: IntArray, from: Int, position: Int) {
        require(position + step.length <= context) { "the step ends at ${position + step.length} of $context places" }
        val signature = if (step.length == 1) decode else prefill.getValue(step.length).value
        signature.run(tokens, from, step.count, position)
    }

    /** How many tokens [score] can take at [position]. */
    fun roomAt(position: Int): Int = verify?.length?.takeIf { position + it <= context } ?: 1

    /** Puts 1 to [roomAt] tokens at the places from [position] on; [readLogits] then tells what follows each of them. */
    fun score(tokens: IntArray, position: Int) {
        require(position + tokens.size <= context) { "${tokens.size} tokens at place $position of $context" }
        scored = if (tokens.size == 1) decode else requireNotNull(verify) { "the model reads one token at a time" }
        scored.run(tokens, 0, tokens.size, position)
    }

    /** Writes the logits behind token [row] of the last [score] into [logits]. */
    fun readLogits(row: Int, logits: FloatArray) = scored.readLogits(row, logits)

    override fun close() {
        native.close()
        cache.close()
    }

    private fun openPrefill(key: String): Signature {
        val signature = Signature(key, native.runners(listOf(key)).getValue(key), cache, givesLogits = false)
        if (signature.length != lengthOf(key)) throw ModelUnusable("the signature $key takes ${signature.length} tokens")
        return signature
    }

    /** The number in a signature's name; 0 where there is none. */
    private fun lengthOf(key: String): Int = key.substringAfter('_').toIntOrNull() ?: 0

    private fun cacheSizes(runner: SignatureRunner): Map<String, Long> {
        val sizes = sortedMapOf<String, Long>()
        for (name in native.inputNames(runner)) {
            if (name.startsWith(CACHE)) sizes[name] = TfLiteTensorByteSize(runner.input_tensor(name))
        }
        if (sizes.isEmpty()) throw ModelUnusable("the model has no key-value cache")
        return sizes
    }

    companion object {
        private const val DECODE = "decode"
        private const val PREFILL = "prefill_"
        private const val VERIFY = "score_"
        private const val CACHE = "kv_cache_"

        /** Prefills of up to so many times the length of a verification are done by that. */
        private const val SHORT_PREFILLS = 2

        /**
         * Opens the model that lies in [region], with [threads] threads for its arithmetic.
         *
         * Throws [ModelUnusable] when the file is damaged or has other signatures than this app knows.
         */
        fun open(region: ModelRegion, threads: Int): LanguageModel {
            NativeRuntime.prepare()
            val native = NativeModel(region.map(), threads)
            try {
                return LanguageModel(native)
            } catch (error: ModelUnusable) {
                native.close()
                throw error
            }
        }
    }
}

/** The runtime's objects behind a model, kept together for as long as its interpreters live. */
internal class NativeModel(private val content: MappedByteBuffer, threads: Int) : Closeable {
    private val bytes = BytePointer(content)
    private val model: FlatBufferModel
    private val resolver = BuiltinOpResolver()
    private val builder: InterpreterBuilder
    private val interpreters = ArrayList<Interpreter>()

    /** What the model's signatures are called. */
    val signatureKeys: List<String>

    init {
        // Unverified, a damaged file would crash the process.
        val verified: FlatBufferModel? =
            FlatBufferModel.VerifyAndBuildFromBuffer(bytes, content.capacity().toLong())
        if (verified == null || verified.isNull || !verified.initialized()) throw ModelUnusable("the model is damaged")
        model = verified
        builder = InterpreterBuilder(model, resolver)
        builder.SetNumThreads(threads)
        signatureKeys = build().use { keysOf(it) }
    }

    /**
     * How to run the signatures of these [keys], in an interpreter of their own.
     *
     * The runtime's kernels keep all weights in memory once more for every signature that they are given, with the
     * first one that is asked for: they are given no others.
     */
    fun runners(keys: List<String>): Map<String, SignatureRunner> {
        val interpreter = build()
        interpreters.add(interpreter)
        for (other in signatureKeys - keys.toSet()) {
            interpreter.subgraph(interpreter.GetSubgraphIndexFromSignature(other)).MarkAsDelegationSkippable()
        }
        return keys.associateWith { key ->
            val runner: SignatureRunner? = interpreter.GetSignatureRunner(key)
            if (runner == null || runner.isNull) throw ModelUnusable("the model has no signature $key")
            runner
        }
    }

    private fun build(): Interpreter {
        val interpreter = Interpreter(null as Pointer?)
        if (builder.apply(interpreter) != kTfLiteOk || interpreter.isNull) {
            throw ModelUnusable("this runtime does not know all of the model's operations")
        }
        return interpreter
    }

    private fun keysOf(interpreter: Interpreter): List<String> {
        val keys = interpreter.signature_keys()
        return (0 until keys.size()).map { keys.get(it).string }
    }

    fun inputNames(runner: SignatureRunner): List<String> {
        val names = runner.input_names()
        return (0 until runner.input_size()).map { BytePointer(names.get(it)).string }
    }

    /** The number of places of a cache tensor [1, heads, places, width]. */
    fun contextOf(runner: SignatureRunner, cacheName: String): Int {
        val tensor: TfLiteTensor = runner.input_tensor(cacheName)
        val shape = tensor.dims()
        if (shape.size() != 4) throw ModelUnusable("the cache $cacheName has ${shape.size()} dimensions, not 4")
        return shape.data(2)
    }

    override fun close() {
        interpreters.forEach { it.close() }
        builder.close()
        resolver.close()
        model.close()
    }
}
