package dev.kerasfarm.generation.engine

import org.bytedeco.javacpp.Loader
import org.bytedeco.tensorflowlite.global.tensorflowlite

/** Loads TensorFlow Lite's native library, once, under settings that fit a phone. */
internal object NativeRuntime {
    private val library: String? by lazy {
        // JavaCPP would refuse allocations by the Java heap's size and the process's memory. A model mapped into
        // memory is far larger than the heap of an app, and the cache's size is known: switch both limits off.
        System.setProperty("org.bytedeco.javacpp.maxBytes", "0")
        System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0")
        Loader.load(tensorflowlite::class.java)
    }

    /** Must be called before the first use of a TensorFlow Lite class; returns where the library came from. */
    fun prepare(): String? = library
}
