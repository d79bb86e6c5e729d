package dev.kerasfarm.host

import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipFile

/** The stretch of an APK that a stored (not compressed) entry fills, as Android's AssetFileDescriptor tells it. */
data class StoredAsset(val offset: Long, val length: Long)

/** A sentence for whoever drives the program. */
class HostError(message: String) : Exception(message)

/** The files of an APK, read as the app reads its assets. */
class ApkAssets(val apk: File) {
    /** Whether the APK has the asset. */
    fun has(name: String): Boolean = ZipFile(apk).use { it.getEntry("assets/$name") != null }

    /** The content of a small asset. */
    fun read(name: String): ByteArray = ZipFile(apk).use { zip ->
        val entry = zip.getEntry("assets/$name") ?: throw HostError("$apk has no asset $name.")
        zip.getInputStream(entry).use { it.readBytes() }
    }

    /** Where a stored asset lies; java.util.zip does not tell, so the central directory is read here. */
    fun locate(name: String): StoredAsset = RandomAccessFile(apk, "r").use { file ->
        val directory = centralDirectory(file)
        val wanted = "assets/$name".toByteArray()
        while (directory.remaining() >= CENTRAL_HEADER && directory.getInt(directory.position()) == CENTRAL_MAGIC) {
            val at = directory.position()
            val nameLength = directory.getShort(at + 28).toInt() and 0xFFFF
            val extraLength = directory.getShort(at + 30).toInt() and 0xFFFF
            val commentLength = directory.getShort(at + 32).toInt() and 0xFFFF
            val entryName = ByteArray(nameLength)
            directory.position(at + CENTRAL_HEADER)
            directory.get(entryName)
            if (entryName.contentEquals(wanted)) return located(file, directory, at, name)
            directory.position(at + CENTRAL_HEADER + nameLength + extraLength + commentLength)
        }
        throw HostError("$apk has no asset $name.")
    }

    private fun located(file: RandomAccessFile, directory: ByteBuffer, at: Int, name: String): StoredAsset {
        if (directory.getShort(at + 10).toInt() != STORED) {
            throw HostError("The asset $name is compressed in $apk, so it cannot be mapped into memory.")
        }
        val length = directory.getInt(at + 24).toLong() and 0xFFFFFFFFL
        val header = directory.getInt(at + 42).toLong() and 0xFFFFFFFFL
        val local = little(file, header, LOCAL_HEADER)
        val names = (local.getShort(26).toInt() and 0xFFFF) + (local.getShort(28).toInt() and 0xFFFF)
        return StoredAsset(header + LOCAL_HEADER + names, length)
    }

    private fun centralDirectory(file: RandomAccessFile): ByteBuffer {
        val tail = minOf(file.length(), END_SEARCH)
        val end = little(file, file.length() - tail, tail.toInt())
        val position = (end.limit() - END_RECORD downTo 0).firstOrNull { end.getInt(it) == END_MAGIC }
            ?: throw HostError("$apk is no APK.")
        val size = end.getInt(position + 12)
        val offset = end.getInt(position + 16).toLong() and 0xFFFFFFFFL
        return little(file, offset, size)
    }

    private fun little(file: RandomAccessFile, offset: Long, length: Int): ByteBuffer {
        val bytes = ByteArray(length)
        file.seek(offset)
        file.readFully(bytes)
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    }

    private companion object {
        const val STORED = 0
        const val CENTRAL_MAGIC = 0x02014B50
        const val CENTRAL_HEADER = 46
        const val LOCAL_HEADER = 30
        const val END_MAGIC = 0x06054B50
        const val END_RECORD = 22
        const val END_SEARCH = 65_557L // an end record with the longest comment
    }
}
