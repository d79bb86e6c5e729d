package dev.kerasfarm.generation.engine

import java.io.IOException
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel

/**
 * Where a model lies: [length] bytes from [offset] on in an open file.
 *
 * An asset that is stored without compression is such a stretch of the APK, so the model is used where it is and
 * never copied. A mapping outlives its channel, which the caller may close after [map].
 */
internal class ModelRegion(private val channel: FileChannel, private val offset: Long, private val length: Long) {
    /** Maps the model into memory, read-only; throws [ModelUnusable] when the file is too short. */
    fun map(): MappedByteBuffer {
        if (length < MIN_BYTES || length > Int.MAX_VALUE) {
            throw ModelUnusable("the model has $length bytes, which cannot be mapped")
        }
        try {
            if (offset + length > channel.size()) throw ModelUnusable("the model is cut short")
            return channel.map(FileChannel.MapMode.READ_ONLY, offset, length)
        } catch (error: IOException) {
            throw ModelUnusable("the model cannot be mapped into memory", error)
        }
    }

    private companion object {
        const val MIN_BYTES = 16L
    }
}

/** The model file is damaged, or is not of the form that this app runs. */
internal class ModelUnusable(message: String, cause: Throwable? = null) : Exception(message, cause)
