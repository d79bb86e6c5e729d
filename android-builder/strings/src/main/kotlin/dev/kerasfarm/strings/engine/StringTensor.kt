package dev.kerasfarm.strings.engine

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The model does not give or take what the app's contract says. */
class ModelUnusable(message: String, cause: Throwable? = null) : Exception(message, cause)

/**
 * The strings of a string tensor as TFLite holds it: their number, where each begins and the last ends, their bytes.
 *
 * Any length is read as it is. Throws [ModelUnusable] when the numbers do not fit the buffer.
 */
fun readStrings(tensor: ByteBuffer): List<ByteArray> {
    val buffer = tensor.duplicate().order(ByteOrder.LITTLE_ENDIAN)
    val size = buffer.limit()
    if (size < Int.SIZE_BYTES) throw ModelUnusable("its answer is no string tensor")
    val count = buffer.getInt(0)
    val header = (count.toLong() + 2) * Int.SIZE_BYTES
    if (count < 0 || header > size) throw ModelUnusable("its answer has a damaged string tensor")
    val places = (0..count).map { buffer.getInt((it + 1) * Int.SIZE_BYTES) }
    if (places.first().toLong() != header || places.last() > size || places.zipWithNext().any { (a, b) -> a > b }) {
        throw ModelUnusable("its answer has a damaged string tensor")
    }
    return places.zipWithNext().map { (start, end) ->
        ByteArray(end - start).also { bytes ->
            buffer.position(start)
            buffer.get(bytes)
        }
    }
}
