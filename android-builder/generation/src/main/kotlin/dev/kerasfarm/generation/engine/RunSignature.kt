package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorByteSize
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorData
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * The model's one entry, whose tensors are made as large as each call asks for ([Contract]).
 *
 * The weights stay packed as they are when sizes change.
 */
internal class RunSignature(private val runner: SignatureRunner, private val contract: Contract) {
    private var count = 0
    private var wanted = 0
    private var cache: KeyValueCache? = null
    private lateinit var logits: FloatBuffer
    private var seen = FloatArray(0)

    /** Makes the tensors fit a call over [count] tokens, of which the last [wanted] give logits; false: no memory. */
    fun fit(count: Int, wanted: Int, cache: KeyValueCache): Boolean {
        if (count == this.count && wanted == this.wanted && cache === this.cache) return true
        resize(Contract.TOKENS, 1, count)
        resize(Contract.POSITIONS, count)
        resize(Contract.ROWS, wanted)
        for (group in contract.groups) {
            resize(Contract.mask(group.window), 1, 1, count, group.rowsAt(cache.rows))
            if (cache !== this.cache) group.tensors.forEach { resize(it, *group.shapeAt(cache.rows)) }
        }
        // What the caches lie in stays in its place until they change.
        if (cache !== this.cache) cache.attach(runner)
        this.count = 0 // until all is in place
        this.cache = cache
        if (runner.AllocateTensors() != kTfLiteOk) return false
        this.count = count
        this.wanted = wanted
        return true
    }

    /** Runs over `source[from until from + count]`, the first of them at [position]; [fit] comes first. */
    fun run(source: IntArray, from: Int, position: Int) {
        val cache = checkNotNull(cache)
        // A run may move its tensors, where an operator finds sizes only then: each time they are asked for again.
        input(Contract.TOKENS).asIntBuffer().put(source, from, count)
        input(Contract.POSITIONS).asIntBuffer().put(IntArray(count) { position + it })
        input(Contract.ROWS).asIntBuffer().put(IntArray(wanted) { count - wanted + it })
        for (group in contract.groups) {
            val length = group.rowsAt(cache.rows)
            if (group.window != null) input(Contract.start(group.window)).asIntBuffer().put(position % length)
            mask(input(Contract.mask(group.window)).asFloatBuffer(), group.window, length, position)
        }
        if (runner.Invoke() != kTfLiteOk) throw ModelUnusable("the model failed while it computed")
        logits = view(runner.output_tensor(Contract.LOGITS)).asFloatBuffer()
        if (logits.capacity() != wanted * contract.vocabularySize) throw ModelUnusable("its logits do not fit their sizes")
    }

    /** Copies the logits of the last run's wanted token [row] into [target]. */
    fun readLogits(row: Int, target: FloatArray) {
        logits.position(row * contract.vocabularySize)
        logits.get(target)
    }

    /** Says which rows each token sees: those of the tokens up to itself, within the window. */
    private fun mask(mask: FloatBuffer, window: Int?, length: Int, position: Int) {
        if (seen.size != length) seen = FloatArray(length)
        val last = position + count - 1
        for (token in position..last) {
            for (row in 0 until length) {
                seen[row] = if (sees(token, row, last, length, window)) 0f else HIDDEN
            }
            mask.put(seen)
        }
    }

    private fun resize(name: String, vararg shape: Int) {
        if (runner.ResizeInputTensor(name, shape) != kTfLiteOk) throw ModelUnusable("its input $name has a fixed size")
    }

    private fun input(name: String): ByteBuffer = view(runner.input_tensor(name))

    private fun view(tensor: TfLiteTensor): ByteBuffer =
        BytePointer(TfLiteTensorData(tensor)).capacity(TfLiteTensorByteSize(tensor)).asByteBuffer()
            .order(ByteOrder.nativeOrder())

    private companion object {
        /** What is added to the scores of rows that a token does not see. */
        const val HIDDEN = -1e9f
    }
}
