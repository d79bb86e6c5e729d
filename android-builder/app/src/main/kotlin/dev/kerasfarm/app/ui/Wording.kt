package dev.kerasfarm.app.ui

import android.content.res.Resources
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.SessionState

/** A notice as a sentence. */
fun sentence(notice: Notice, resources: Resources): String = when (notice) {
    Notice.ContextFull -> resources.getString(R.string.notice_context_full)
    is Notice.LongPrompt -> resources.getString(R.string.notice_prompt_too_long, notice.tokens, notice.context)
    is Notice.PromptCut -> resources.getString(R.string.notice_prompt_cut, notice.read, notice.left)
    Notice.UnsuitablePrompt -> resources.getString(R.string.notice_unsuitable_prompt)
    Notice.UnsuitableText -> resources.getString(R.string.notice_unsuitable_text)
    Notice.EmptyPrompt -> resources.getString(R.string.notice_empty_prompt)
    Notice.NothingToSay -> resources.getString(R.string.notice_nothing_to_say)
    is Notice.NoModel -> resources.getString(R.string.notice_no_model, notice.file)
    is Notice.Unusable -> resources.getString(R.string.notice_model_unusable, notice.detail)
    Notice.NoMemory -> resources.getString(R.string.notice_no_memory)
    Notice.NoRuntime -> resources.getString(R.string.notice_no_runtime)
    Notice.NoTokenizer -> resources.getString(R.string.notice_no_tokenizer)
}

/** The line below the text: what is happening, or how fast it went. */
fun status(state: SessionState, resources: Resources): String {
    val info = state.info
    return when {
        state.phase == Phase.OPENING -> resources.getString(R.string.status_opening)
        state.phase == Phase.MEASURING -> resources.getString(R.string.status_measuring)
        state.phase == Phase.READING -> resources.getString(R.string.status_reading)
        state.tokens > 0 || state.stopped -> rate(state, resources)
        info != null && state.phase == Phase.READY -> resources.getString(R.string.status_ready, info.name)
        else -> ""
    }
}

private fun rate(state: SessionState, resources: Resources): String {
    val rate = resources.getQuantityString(R.plurals.status_rate, state.tokens, state.tokens, state.tokensPerSecond)
    return if (state.stopped) resources.getString(R.string.status_stopped, rate) else rate
}
