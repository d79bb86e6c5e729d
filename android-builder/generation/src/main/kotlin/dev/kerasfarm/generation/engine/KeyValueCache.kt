package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteCustomAllocation
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.io.Closeable

/**
 * The keys and values of all layers, in one stretch of memory that every signature reads and writes.
 *
 * Each cache tensor is given the same memory as input and as output, of every signature: the runtime's
 * DYNAMIC_UPDATE_SLICE then writes the new rows in place, so a step copies nothing. [sizes] are the bytes by
 * tensor name.
 */
internal class KeyValueCache(private val sizes: Map<String, Long>) : Closeable {
    private val offsets = HashMap<String, Long>()
    private val bytes: Long
    private val memory: BytePointer
    private val base: Long
    private val allocations = ArrayList<TfLiteCustomAllocation>()

    init {
        var end = 0L
        for ((name, size) in sizes) {
            offsets[name] = end
            end += align(size + READ_AHEAD)
        }
        bytes = end
        memory = BytePointer(bytes + ALIGNMENT)
        base = align(memory.address()) - memory.address()
        clear()
    }

    /** How many tensors there are. */
    val size: Int get() = sizes.size

    /** Forgets everything. */
    fun clear() {
        Pointer.memset(memory, 0, bytes + ALIGNMENT)
    }

    /** Puts the cache under a signature's tensors; its tensors must be allocated again afterwards. */
    fun attach(runner: SignatureRunner) {
        for ((name, offset) in offsets) {
            val allocation = TfLiteCustomAllocation()
            allocation.data(memory.getPointer(base + offset)).bytes(sizes.getValue(name))
            allocations.add(allocation)
            val input = runner.SetCustomAllocationForInputTensor(name, allocation)
            val output = runner.SetCustomAllocationForOutputTensor(name, allocation)
            if (input != kTfLiteOk || output != kTfLiteOk) throw ModelUnusable("the cache $name cannot be placed")
        }
    }

    override fun close() {
        allocations.forEach { it.close() }
        memory.close()
    }

    private fun align(value: Long): Long = (value + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT

    private companion object {
        /** What the runtime asks of memory that it is given. */
        const val ALIGNMENT = 64L

        /** XNNPACK may read this far past a tensor's end. */
        const val READ_AHEAD = 64L
    }
}
