package dev.kerasfarm.generation.model

import org.json.JSONObject

/** What the app does with what is typed: write on from it, answer it, or hold a conversation. */
enum class Mode { COMPLETE, INSTRUCT, CHAT }

/**
 * How a model wants to be spoken to.
 *
 * [template] is the text that it reads, with [PLACE] where the question goes; [prompts] are questions, or beginnings of
 * texts, to suggest.
 */
data class Prompting(val mode: Mode = Mode.COMPLETE, val template: String = PLACE, val prompts: List<String> = listOf()) {
    /** What the model reads when the user typed [prompt]. */
    fun fill(prompt: String): String = template.replaceFirst(PLACE, prompt)

    companion object {
        const val PLACE = "{prompt}"

        /** Reads the object `prompting` of `model-info.json`; null is a model that continues texts. */
        internal fun read(json: JSONObject?): Prompting {
            if (json == null) return Prompting()
            val mode = json.getString("mode")
            val template = json.getString("prompt_template")
            val prompts = json.getJSONArray("prompts")
            if (PLACE !in template) throw ModelInfoUnusable("its prompt template has no place for a prompt")
            return Prompting(
                mode = Mode.entries.find { it.name.lowercase() == mode }
                    ?: throw ModelInfoUnusable("it asks for the mode $mode, which this app does not have"),
                template = template,
                prompts = (0 until prompts.length()).map { prompts.getString(it) },
            )
        }
    }
}
