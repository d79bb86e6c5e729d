package dev.kerasfarm.generation.engine

import java.io.File
import java.io.IOException

/** How much memory the system has left for this process. */
internal object SystemMemory {
    /** What stays free for the system and for other apps, which it would end otherwise. */
    private const val RESERVE = 128L shl 20
    private const val KILOBYTE = 1024L
    private val AVAILABLE = Regex("MemAvailable: *([0-9]+) kB")

    /** Bytes; null where the system does not tell. */
    fun available(): Long? =
        try {
            available(File("/proc/meminfo").readText())
        } catch (_: IOException) {
            null
        }

    /** The same of what Linux says in [meminfo]. */
    fun available(meminfo: String): Long? =
        AVAILABLE.find(meminfo)?.let { maxOf(0, it.groupValues[1].toLong() * KILOBYTE - RESERVE) }
}
