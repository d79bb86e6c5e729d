package dev.kerasfarm.screens

import org.junit.runners.model.FrameworkMethod
import org.robolectric.RobolectricTestRunner
import org.robolectric.internal.bytecode.InstrumentationConfiguration

/**
 * Runs JUnit classes on the JVM's Android, with the real TensorFlow Lite.
 *
 * The runtime's own classes stay outside of Robolectric's class loader: a native library can be bound only once.
 */
class AppRunner(tests: Class<*>) : RobolectricTestRunner(tests) {
    override fun createClassLoaderConfig(method: FrameworkMethod): InstrumentationConfiguration =
        InstrumentationConfiguration.Builder(super.createClassLoaderConfig(method))
            .doNotAcquirePackage("org.bytedeco.")
            .build()
}
