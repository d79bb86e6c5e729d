package dev.kerasfarm.app.ui

import android.content.Context
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.generation.model.Mode

/** What the user set, kept on the phone. */
class Preferences(context: Context) {
    private val stored = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** The most tokens that a text may have, a multiple of [LIMIT_STEP] up to [LIMIT_HIGHEST]; null: see [limitOf]. */
    var limit: Int?
        get() = stored.getInt(LIMIT, 0).takeIf { it > 0 }?.coerceIn(LIMIT_STEP, LIMIT_HIGHEST)
        set(value) = stored.edit().putInt(LIMIT, value ?: 0).apply()

    /** The limit that counts: a suggestion is to be read at a glance, an answer to its end. */
    fun limitOf(mode: Mode): Int = limit ?: when (mode) {
        Mode.COMPLETE -> LIMIT_SUGGESTION
        Mode.INSTRUCT -> LIMIT_ANSWER
        Mode.CHAT -> LIMIT_TURN
    }

    /** What the model is told before a conversation; null: what its template says by itself. */
    var system: String?
        get() = stored.getString(SYSTEM, null)?.takeIf { it.isNotBlank() }
        set(value) = stored.edit().putString(SYSTEM, value.orEmpty()).apply()

    /** Whether the model thinks before it answers; null: as the job that made the app wants it. */
    var thinking: Boolean?
        get() = if (stored.contains(THINKING)) stored.getBoolean(THINKING, false) else null
        set(value) = stored.edit().putBoolean(THINKING, value == true).apply()

    /** How many of the prompt's last tokens the model reads; null: half of its context. */
    var window: Int?
        get() = stored.getInt(WINDOW, 0).takeIf { it > 0 }
        set(value) = stored.edit().putInt(WINDOW, value ?: 0).apply()

    /** How tokens are chosen. */
    var sampling: Sampling
        get() = Sampling(
            temperature = stored.getFloat(TEMPERATURE, 0f).coerceIn(0f, TEMPERATURE_HIGHEST),
            topK = stored.getInt(TOP_K, TOP_K_DEFAULT).coerceIn(0, TOP_K_HIGHEST),
            topP = stored.getFloat(TOP_P, TOP_P_DEFAULT).coerceIn(TOP_P_LOWEST, 1f),
            minP = stored.getFloat(MIN_P, 0f).coerceIn(0f, MIN_P_HIGHEST),
            repetitionPenalty = stored.getFloat(PENALTY, 1f).coerceIn(1f, PENALTY_HIGHEST),
            seed = if (stored.contains(SEED)) stored.getLong(SEED, 0) else null,
        )
        set(value) {
            val edit = stored.edit()
                .putFloat(TEMPERATURE, value.temperature)
                .putInt(TOP_K, value.topK)
                .putFloat(TOP_P, value.topP)
                .putFloat(MIN_P, value.minP)
                .putFloat(PENALTY, value.repetitionPenalty)
            val seed = value.seed
            if (seed == null) edit.remove(SEED) else edit.putLong(SEED, seed)
            edit.apply()
        }

    /** All that a generation needs. */
    fun options(mode: Mode): GenerationOptions = sampling.let {
        GenerationOptions(
            maxTokens = limitOf(mode),
            contextWindow = window,
            temperature = it.temperature,
            topK = it.topK,
            topP = it.topP,
            minP = it.minP,
            repetitionPenalty = it.repetitionPenalty,
            seed = it.seed,
        )
    }

    companion object {
        const val LIMIT_STEP = 8
        const val LIMIT_HIGHEST = 1024
        const val TEMPERATURE_HIGHEST = 2f
        const val TOP_K_HIGHEST = 100
        const val TOP_P_LOWEST = 0.05f
        const val MIN_P_HIGHEST = 0.5f
        const val PENALTY_HIGHEST = 2f
        private const val LIMIT_SUGGESTION = 24
        private const val LIMIT_ANSWER = 128
        private const val LIMIT_TURN = 512
        private const val TOP_K_DEFAULT = 40
        private const val TOP_P_DEFAULT = 0.95f
        private const val LIMIT = "max_new_tokens"
        private const val SYSTEM = "system"
        private const val THINKING = "thinking"
        private const val WINDOW = "window"
        private const val TEMPERATURE = "temperature"
        private const val TOP_K = "top_k"
        private const val TOP_P = "top_p"
        private const val MIN_P = "min_p"
        private const val PENALTY = "repetition_penalty"
        private const val SEED = "seed"
    }
}
