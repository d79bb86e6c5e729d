package dev.kerasfarm.app.ui

import android.content.res.Resources
import dev.kerasfarm.app.R
import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.SessionState

/** A notice as a sentence. */
fun sentence(notice: Notice, resources: Resources): String = when (notice) {
    Notice.ContextFull -> resources.getString(R.string.notice_context_full)
    is Notice.MemoryFull -> resources.getString(R.string.notice_memory_full, notice.tokens)
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
    Notice.UnsuitableAnswer -> resources.getString(R.string.notice_unsuitable_answer)
    is Notice.StoreDamaged -> resources.getString(R.string.notice_store_damaged, notice.file)
    Notice.StorageFull -> resources.getString(R.string.notice_storage_full)
    is Notice.StoreFailed -> resources.getString(R.string.notice_store_failed, notice.detail)
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

/** The line below a conversation: what is happening, how full the context is, and how fast the answer was. */
fun chatStatus(state: SessionState, resources: Resources): String {
    val context = state.info?.context
    val chat = state.chat
    val taken = if (context != null && chat.contextTokens > 0) {
        resources.getString(R.string.status_context, minOf(chat.contextTokens + writing(state), context), context)
    } else {
        null
    }
    val first = when {
        chat.total > 0 -> resources.getString(R.string.status_reading_again, PERCENT * chat.read / chat.total)
        state.phase == Phase.READY && state.tokens == 0 && taken != null -> null
        else -> status(state, resources).ifEmpty { null }
    }
    return listOfNotNull(first, taken).joinToString(" · ")
}

/** The tokens that are being written are counted as they come. */
private fun writing(state: SessionState): Int = if (state.phase == Phase.WRITING) state.tokens else 0

private const val PERCENT = 100

private fun rate(state: SessionState, resources: Resources): String {
    val rate = resources.getQuantityString(R.plurals.status_rate, state.tokens, state.tokens, state.tokensPerSecond)
    return if (state.stopped) resources.getString(R.string.status_stopped, rate) else rate
}
