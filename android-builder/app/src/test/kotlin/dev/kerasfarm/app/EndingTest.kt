package dev.kerasfarm.app

import dev.kerasfarm.app.generation.Notice
import dev.kerasfarm.app.generation.noticeOf
import dev.kerasfarm.app.ui.sentence
import dev.kerasfarm.generation.EndReason
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.RuntimeEnvironment

class EndingTest : AppTest() {
    @Test
    fun whatAUserShouldKnowOfATextsEnd() {
        assertEquals(Notice.MemoryFull(512), noticeOf(EndReason.MEMORY_FULL, 12, 512))
        assertEquals(Notice.ContextFull, noticeOf(EndReason.CONTEXT_FULL, 12, 512))
        assertEquals(Notice.NothingToSay, noticeOf(EndReason.END_OF_TEXT, 0, 500))
        val usual = EndReason.entries - EndReason.MEMORY_FULL - EndReason.CONTEXT_FULL
        assertTrue(usual.size >= 4)
        for (reason in usual) assertNull("$reason", noticeOf(reason, 12, 512))
    }

    @Test
    fun withoutMemoryItSaysInEveryLanguageHowLongATextFits() {
        val said = listOf("en", "de", "es", "ja").map { language ->
            RuntimeEnvironment.setQualifiers("+$language")
            sentence(Notice.MemoryFull(512), app.resources)
        }
        assertTrue("$said", said.all { "512" in it })
        assertEquals("$said", 4, said.toSet().size)
    }
}
