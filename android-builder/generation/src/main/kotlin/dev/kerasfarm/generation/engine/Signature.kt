package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorByteSize
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorData
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteFloat32
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteInt32
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.nio.IntBuffer

/**
 * One entry of the model, `decode`, `score_<n>` or `prefill_<n>`, with its tensors' own memory in reach.
 *
 * Input `tokens` int32 [1, n], `input_pos` int32 [n]; output `logits` float32 [1, n, vocabulary], but for a prefill.
 */
internal class Signature(
    private val key: String,
    private val runner: SignatureRunner,
    cache: KeyValueCache,
    givesLogits: Boolean,
) {
    private val tokens: IntBuffer
    private val positions: IntBuffer
    private val logits: FloatBuffer?

    init {
        val inputs = cache.size + 2
        if (runner.input_size() != inputs.toLong()) {
            throw ModelUnusable("the signature $key has ${runner.input_size()} inputs instead of $inputs")
        }
        cache.attach(runner)
        if (runner.AllocateTensors() != kTfLiteOk) throw ModelUnusable("the signature $key cannot be allocated")
        tokens = view("tokens", runner.input_tensor("tokens"), kTfLiteInt32).asIntBuffer()
        positions = view("input_pos", runner.input_tensor("input_pos"), kTfLiteInt32).asIntBuffer()
        if (tokens.capacity() != positions.capacity()) {
            throw ModelUnusable("the signature $key takes ${tokens.capacity()} tokens at ${positions.capacity()} places")
        }
        logits = if (givesLogits) view("logits", runner.output_tensor("logits"), kTfLiteFloat32).asFloatBuffer() else null
    }

    /** How many tokens one run takes. */
    val length: Int get() = tokens.capacity()

    /** How many logits a run gives for a token; 0 for a prefill. */
    val vocabularySize: Int get() = (logits?.capacity() ?: 0) / length

    /**
     * Runs over `source[from until from + count]` at the places from [position] on, the rest padded with token 0.
     *
     * The padding's keys and values land behind the text, where the next tokens overwrite them before any reads them.
     */
    fun run(source: IntArray, from: Int, count: Int, position: Int) {
        for (slot in 0 until length) {
            tokens.put(slot, if (slot < count) source[from + slot] else 0)
            positions.put(slot, position + slot)
        }
        if (runner.Invoke() != kTfLiteOk) throw ModelUnusable("the model failed while it computed $key")
    }

    /** Copies the last run's logits behind its token [row] into [target]. */
    fun readLogits(row: Int, target: FloatArray) {
        val source = checkNotNull(logits) { "$key gives no logits" }
        source.position(row * vocabularySize)
        source.get(target)
    }

    private fun view(name: String, tensor: TfLiteTensor?, type: Int): ByteBuffer {
        if (tensor == null || tensor.isNull) throw ModelUnusable("the signature $key has no tensor $name")
        if (tensor.type() != type) throw ModelUnusable("the tensor $name of $key is of another type than expected")
        val size = TfLiteTensorByteSize(tensor)
        return BytePointer(TfLiteTensorData(tensor)).capacity(size).asByteBuffer().order(ByteOrder.nativeOrder())
    }
}
