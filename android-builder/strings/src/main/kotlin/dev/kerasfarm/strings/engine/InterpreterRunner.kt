package dev.kerasfarm.strings.engine

import org.tensorflow.lite.Interpreter
import java.nio.ByteBuffer

/**
 * TFLite's interpreter of the Flex AAR; it finds the Flex library by itself when the model needs it.
 *
 * Its classes call native code that exists for Android alone, so that nothing here can be run anywhere else.
 */
class InterpreterRunner(model: ByteBuffer, threads: Int) : StringRunner {
    private val interpreter: Interpreter = try {
        Interpreter(model, Interpreter.Options().setNumThreads(threads).setCancellable(true))
    } catch (error: IllegalArgumentException) {
        throw ModelUnusable("TFLite refuses it (${error.message})", error)
    }

    override val signatures: Map<String, Set<String>> =
        interpreter.signatureKeys.associateWith { interpreter.getSignatureInputs(it).toSet() }

    @Volatile
    private var cancelled = false

    override fun run(signature: String, prompt: ByteArray, settings: Map<String, Any>): ByteArray {
        cancelled = false
        interpreter.setCancelled(false)
        try {
            // Bytes for a scalar string: a String would be turned into Java's own kind of UTF-8, which splits emoji.
            // No buffer for the output either, since its length is known only afterwards.
            interpreter.runSignature(settings + (PROMPT to prompt), HashMap(), signature)
        } catch (error: IllegalArgumentException) {
            if (cancelled) throw Cancelled()
            throw ModelUnusable("TFLite can't run it (${error.message})", error)
        }
        val output = interpreter.getOutputTensorFromSignature(OUTPUT, signature)
        return readStrings(output.asReadOnlyBuffer()).singleOrNull()
            ?: throw ModelUnusable("its signature $signature gives more than one string")
    }

    override fun cancel() {
        cancelled = true
        interpreter.setCancelled(true)
    }

    override fun close() = interpreter.close()
}
