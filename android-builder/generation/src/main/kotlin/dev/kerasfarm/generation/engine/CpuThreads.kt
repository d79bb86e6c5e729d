package dev.kerasfarm.generation.engine

import java.io.File
import java.io.IOException

/**
 * How many threads a model should use on this machine.
 *
 * Phones have fast and slow cores; every step waits for its slowest thread, so only the fast ones count, and more
 * than four of them only fight for the memory bus.
 */
internal object CpuThreads {
    private const val MOST_THREADS = 4
    private val CPUS = File("/sys/devices/system/cpu")

    /** The number of threads, from 1 to 4. */
    fun threads(): Int = threads(maximumFrequencies(), Runtime.getRuntime().availableProcessors())

    /** The same for given [frequencies] of the cores (empty: unknown) and a number of [processors]. */
    fun threads(frequencies: List<Long>, processors: Int): Int {
        val slowest = frequencies.minOrNull()
        val fast = frequencies.count { it > (slowest ?: 0) }
        val cores = if (fast > 0) fast else processors
        return cores.coerceIn(1, minOf(MOST_THREADS, maxOf(processors, 1)))
    }

    private fun maximumFrequencies(): List<Long> {
        val cores = CPUS.listFiles { file -> file.name.matches(Regex("cpu[0-9]+")) } ?: return emptyList()
        return cores.mapNotNull { frequency(File(it, "cpufreq/cpuinfo_max_freq")) }
    }

    private fun frequency(file: File): Long? =
        try {
            file.readText().trim().toLongOrNull()
        } catch (_: IOException) {
            null // Some phones hide this file; the number of cores serves instead.
        }
}
