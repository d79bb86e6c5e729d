package dev.kerasfarm.generation.engine

import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteFloat32
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteInt32

/**
 * What the names and types of the signature `run` say of a model (`pipeline/inference/contract.py` says it too).
 *
 * Inputs `tokens` int32 [1, N], `input_pos` int32 [N], `rows` int32 [R], which of the N tokens' logits are wanted; caches
 * `kv_cache_k_<layer>` and `kv_cache_v_<layer>` with their `mask` float32 [1, 1, N, T]; for layers that see a window of W
 * tokens instead `window_<W>_k_<layer>`, `window_<W>_v_<layer>`, `window_<W>_mask` and `window_<W>_start` int32 [1].
 * Output beside the caches: `logits` float32 [1, R, vocabulary]. N, R and T are whatever a call makes them.
 */
internal class Contract private constructor(val groups: List<CacheGroup>, val vocabularySize: Int) {
    /** How far the layers see that do not see the whole text. */
    val windows: List<Int> = groups.mapNotNull { it.window }

    companion object {
        const val TOKENS = "tokens"
        const val POSITIONS = "input_pos"
        const val ROWS = "rows"
        const val LOGITS = "logits"
        private val CACHE = Regex("(?:kv_cache|window_([1-9][0-9]*))_[kv]_[0-9]+")

        /** The name of the mask of the layers that see [window] tokens. */
        fun mask(window: Int?): String = if (window == null) "mask" else "window_${window}_mask"

        /** The name of the row that a window's caches are written from. */
        fun start(window: Int): String = "window_${window}_start"

        /** Reads the signature of a [runner] with inputs of these [names]. Throws [ModelUnusable]. */
        fun read(runner: SignatureRunner, names: List<String>): Contract {
            val caches = names.filter { CACHE.matches(it) }
            if (caches.isEmpty()) throw ModelUnusable("the model has no key-value cache")
            val groups = caches.groupBy { CACHE.matchEntire(it)?.groupValues?.get(1)?.toIntOrNull() }
                .map { (window, tensors) -> group(runner, window, tensors.sorted()) }
            val others = listOf(TOKENS, POSITIONS, ROWS) + groups.flatMap { inputs(it.window) }
            for (name in others.filter { it !in names }) throw ModelUnusable("its signature has no input $name")
            val unknown = names - caches.toSet() - others.toSet()
            for (name in unknown) throw ModelUnusable("its signature has the input $name, which is not known")
            require(runner, TOKENS, kTfLiteInt32, 2)
            require(runner, POSITIONS, kTfLiteInt32, 1)
            require(runner, ROWS, kTfLiteInt32, 1)
            for (group in groups) {
                require(runner, mask(group.window), kTfLiteFloat32, 4)
                if (group.window != null) require(runner, start(group.window), kTfLiteInt32, 1)
            }
            val logits: TfLiteTensor? = runner.output_tensor(LOGITS)
            if (logits == null || logits.isNull) throw ModelUnusable("its signature has no output $LOGITS")
            if (logits.type() != kTfLiteFloat32 || logits.dims().size() != 3 || logits.dims().data(2) < 1) {
                throw ModelUnusable("its output $LOGITS is not float32 of three dimensions")
            }
            return Contract(groups, logits.dims().data(2))
        }

        private fun inputs(window: Int?): List<String> = listOfNotNull(mask(window), window?.let { start(it) })

        private fun group(runner: SignatureRunner, window: Int?, tensors: List<String>): CacheGroup {
            val shapes = tensors.map { require(runner, it, kTfLiteFloat32, 4) }
            val shape = shapes.first()
            if (shape[0] != 1 || shape[1] < 1 || shape[3] < 1 || shapes.any { it[1] != shape[1] || it[3] != shape[3] }) {
                throw ModelUnusable("its caches are of unlike shapes")
            }
            return CacheGroup(window, tensors, shape[1], shape[3])
        }

        private fun require(runner: SignatureRunner, name: String, type: Int, dimensions: Int): IntArray {
            val tensor = runner.input_tensor(name)
            if (tensor.type() != type || tensor.dims().size() != dimensions) {
                throw ModelUnusable("its input $name is of another type or shape than expected")
            }
            return IntArray(dimensions) { tensor.dims().data(it) }
        }
    }
}
