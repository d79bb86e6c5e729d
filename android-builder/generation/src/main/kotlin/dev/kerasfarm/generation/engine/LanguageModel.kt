package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.BuiltinOpResolver
import org.bytedeco.tensorflowlite.FlatBufferModel
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.InterpreterBuilder
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.io.Closeable
import java.nio.MappedByteBuffer

/**
 * A decoder-only model in TensorFlow Lite, memory-mapped, with its key-value cache, which grows with the text.
 *
 * Not safe for use from several threads at once. Tokens are given in order: the caller counts their places. A call may
 * go back to an earlier place; what was read behind it is forgotten. [context] is how many tokens a text may have, and
 * [freeMemory] tells how many bytes there are for a larger cache, null where nobody knows.
 */
internal class LanguageModel private constructor(
    private val native: NativeModel,
    val context: Int,
    private val freeMemory: () -> Long?,
) : Closeable {
    private val contract: Contract
    private val signature: RunSignature
    private var cache: KeyValueCache

    /** One more than the last place that was written to since the text began. */
    private var written = 0

    /** How many logits a call gives for a token. */
    val vocabularySize: Int get() = contract.vocabularySize

    /** For how many tokens the cache has room now. */
    val rows: Int get() = cache.rows

    init {
        if (RUN !in native.signatureKeys) {
            val former = native.signatureKeys.any { it == FORMER }
            throw ModelUnusable(
                if (former) {
                    "the model was made for an earlier version of this app; convert it again"
                } else {
                    "the model has no signature $RUN"
                },
            )
        }
        val runner = native.runner(RUN)
        contract = Contract.read(runner, native.inputNames(runner))
        signature = RunSignature(runner, contract)
        cache = KeyValueCache(contract.groups, rowsFor(1, context))
        try {
            if (!signature.fit(1, 1, cache)) throw ModelUnusable("there is too little memory for the model")
        } catch (error: ModelUnusable) {
            cache.close()
            throw error
        }
    }

    /** Begins another text: forgets all tokens, and gives back what memory the last one's length has taken. */
    fun reset() {
        written = 0
        val first = rowsFor(1, context)
        if (cache.rows > first) {
            replace(KeyValueCache(contract.groups, first))
            Pointer.trimMemory()
        }
    }

    /** Whether the text may go on behind its first [position] tokens as they were read; else [reset] and read again. */
    fun keeps(position: Int): Boolean = keeps(position, written, cache.rows, contract.windows)

    /**
     * Reads a part of a text: its [tokens] from place [from] on, as many as one call takes. Returns how many these are;
     * behind the last one, [readLogits] of row 0 tells what follows. Throws [MemoryFull].
     */
    fun read(tokens: IntArray, from: Int): Int {
        val count = minOf(tokens.size - from, longestCall(from, contract.windows))
        run(tokens, from, count, 1, from)
        return count
    }

    /** How many tokens [score] can take at [position]; 0 where the context ends. */
    fun roomAt(position: Int): Int = minOf(SCORED, longestCall(position, contract.windows), context - position)

    /**
     * Puts 1 to [roomAt] tokens at the places from [position] on; [readLogits] then tells what follows each of them.
     * Throws [MemoryFull].
     */
    fun score(tokens: IntArray, position: Int) = run(tokens, 0, tokens.size, tokens.size, position)

    /** Writes the logits of row [row] of the last call into [logits]. */
    fun readLogits(row: Int, logits: FloatArray) = signature.readLogits(row, logits)

    override fun close() {
        native.close()
        cache.close()
    }

    private fun run(tokens: IntArray, from: Int, count: Int, wanted: Int, position: Int) {
        val end = position + count
        require(count > 0 && end <= context) { "$count tokens at place $position of $context" }
        require(position <= written && (position == written || keeps(position))) {
            "the text up to place $position is no longer there"
        }
        if (end > cache.rows) grow(end)
        if (!signature.fit(count, wanted, cache)) throw full(end)
        signature.run(tokens, from, position)
        written = if (position == 0) end else maxOf(written, end)
    }

    /** Makes room for a text of [needed] tokens, what was read kept; throws [MemoryFull], the old room kept. */
    private fun grow(needed: Int) {
        val rows = rowsFor(needed, context)
        val free = freeMemory()
        // The old cache stays until its rows are copied.
        if (free != null && KeyValueCache.bytes(contract.groups, rows) > free) throw full(needed)
        val larger = try {
            KeyValueCache(contract.groups, rows)
        } catch (_: OutOfMemoryError) {
            throw full(needed)
        }
        larger.take(cache)
        replace(larger)
    }

    private fun replace(other: KeyValueCache) {
        val former = cache
        cache = other
        if (!signature.fit(1, 1, other)) {
            cache = former
            signature.fit(1, 1, former)
            other.close()
            throw full(other.rows)
        }
        former.close()
    }

    private fun full(needed: Int): MemoryFull =
        MemoryFull(needed, cache.rows, KeyValueCache.bytes(contract.groups, rowsFor(needed, context)))

    companion object {
        private const val RUN = "run"
        private const val FORMER = "decode"

        /**
         * Opens the model that lies in [region], with [threads] threads for its arithmetic, for texts of up to [context]
         * tokens.
         *
         * Throws [ModelUnusable] when the file is damaged or has other signatures than this app knows.
         */
        fun open(
            region: ModelRegion,
            threads: Int,
            context: Int,
            freeMemory: () -> Long? = SystemMemory::available,
        ): LanguageModel {
            NativeRuntime.prepare()
            val native = NativeModel(region.map(), threads)
            try {
                return LanguageModel(native, context, freeMemory)
            } catch (error: ModelUnusable) {
                native.close()
                throw error
            }
        }
    }
}

/** There is no memory for a cache of [needed] tokens, which takes [bytes]; the text so far is kept, and [fits] fit. */
internal class MemoryFull(val needed: Int, val fits: Int, val bytes: Long) : Exception(
    "a text of $needed tokens takes ${(bytes + MEGABYTE - 1) / MEGABYTE} MB, which this device does not have free;" +
        " $fits tokens fit",
) {
    private companion object {
        const val MEGABYTE = 1_000_000L
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
     * How to run the signature [key].
     *
     * The runtime's kernels keep all weights in memory once more for every signature that they are given: they are given
     * no others.
     */
    fun runner(key: String): SignatureRunner {
        val interpreter = build()
        interpreters.add(interpreter)
        for (other in signatureKeys - key) {
            interpreter.subgraph(interpreter.GetSubgraphIndexFromSignature(other)).MarkAsDelegationSkippable()
        }
        val runner: SignatureRunner? = interpreter.GetSignatureRunner(key)
        if (runner == null || runner.isNull) throw ModelUnusable("the model has no signature $key")
        return runner
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

    override fun close() {
        interpreters.forEach { it.close() }
        builder.close()
        resolver.close()
        model.close()
    }
}
