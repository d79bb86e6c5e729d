package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteCustomAllocation
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import java.io.Closeable

/** The cache [tensors] of the layers that see [window] tokens (null: the whole text), each [1, heads, rows, size]. */
internal class CacheGroup(val window: Int?, val tensors: List<String>, val heads: Int, val size: Int) {
    /** What a row of one head takes. */
    val rowBytes: Long = size.toLong() * Float.SIZE_BYTES

    /** How many rows its tensors have beside caches of the whole text with [rows]. */
    fun rowsAt(rows: Int): Int = if (window == null) rows else ringRows(rows, window)

    /** What one of its tensors takes then. */
    fun bytesAt(rows: Int): Long = heads * rowsAt(rows) * rowBytes

    /** A tensor's shape then. */
    fun shapeAt(rows: Int): IntArray = intArrayOf(1, heads, rowsAt(rows), size)
}

/**
 * The keys and values of all layers for a text of up to [rows] tokens, in one stretch of memory.
 *
 * Each cache tensor is given the same memory as input and as output: the runtime's DYNAMIC_UPDATE_SLICE then writes the
 * new rows in place, so that a step copies nothing. The memory is the system's zeroed pages, which take up room only once
 * they are written. OutOfMemoryError when there is not as much.
 */
internal class KeyValueCache(private val groups: List<CacheGroup>, val rows: Int) : Closeable {
    private val offsets = HashMap<String, Long>()
    private val memory: BytePointer
    private val base: Long
    private val allocations = ArrayList<TfLiteCustomAllocation>()

    init {
        var end = 0L
        for (group in groups) {
            for (name in group.tensors) {
                offsets[name] = end
                end += align(group.bytesAt(rows) + READ_AHEAD)
            }
        }
        val zeroed: Pointer? = Pointer.calloc(1, end + ALIGNMENT)
        if (zeroed == null || zeroed.isNull) throw OutOfMemoryError("$end bytes for a cache of $rows rows")
        memory = BytePointer(zeroed)
        base = align(memory.address()) - memory.address()
    }

    /** Copies the rows of a [smaller] cache, in which no ring is full yet, or as large as here. */
    fun take(smaller: KeyValueCache) {
        for (group in groups) {
            val (from, to) = smaller.group(group).rowsAt(smaller.rows) to group.rowsAt(rows)
            for (name in group.tensors) {
                for (head in 0 until group.heads) {
                    val source = smaller.at(name, head * from * group.rowBytes)
                    Pointer.memcpy(at(name, head * to * group.rowBytes), source, from * group.rowBytes)
                }
            }
        }
    }

    /** Puts the cache under the tensors of a signature that have its shapes; they must be allocated again afterwards. */
    fun attach(runner: SignatureRunner) {
        val placed = ArrayList<TfLiteCustomAllocation>()
        for (group in groups) {
            for (name in group.tensors) {
                val allocation = TfLiteCustomAllocation()
                allocation.data(at(name, 0)).bytes(group.bytesAt(rows))
                placed.add(allocation)
                val input = runner.SetCustomAllocationForInputTensor(name, allocation)
                val output = runner.SetCustomAllocationForOutputTensor(name, allocation)
                if (input != kTfLiteOk || output != kTfLiteOk) throw ModelUnusable("the cache $name cannot be placed")
            }
        }
        release()
        allocations.addAll(placed)
    }

    override fun close() {
        release()
        Pointer.free(memory)
    }

    private fun release() {
        allocations.forEach { it.close() }
        allocations.clear()
    }

    private fun group(like: CacheGroup): CacheGroup = groups.first { it.window == like.window }

    private fun at(name: String, offset: Long): Pointer = memory.getPointer(base + offsets.getValue(name) + offset)

    companion object {
        /** What the runtime asks of memory that it is given. */
        private const val ALIGNMENT = 64L

        /** XNNPACK may read this far past a tensor's end. */
        private const val READ_AHEAD = 64L

        private fun align(value: Long): Long = (value + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT

        /** What a cache of these [groups] takes. */
        fun bytes(groups: List<CacheGroup>, rows: Int): Long =
            groups.sumOf { it.tensors.size * align(it.bytesAt(rows) + READ_AHEAD) }
    }
}
