package dev.kerasfarm.app

import dev.kerasfarm.generation.decoding.FilteredText
import dev.kerasfarm.generation.filter.WordFilter
import dev.kerasfarm.generation.filter.normalise
import dev.kerasfarm.generation.filter.readWords
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File

class WordFilterTest {
    private val lists = File(System.getProperty("word.lists")).listFiles().orEmpty().sorted()
    private val filter = WordFilter(lists.flatMap { list -> list.bufferedReader().use { readWords(it) } })

    private fun corpus(name: String) = File(System.getProperty("corpus"), "filter-$name.txt").readLines()

    @Test
    fun everyLanguageHasAListAndEveryWordOfItIsFound() {
        assertEquals(listOf("de", "en", "es", "fr", "ja"), lists.map { it.nameWithoutExtension })
        for (list in lists) {
            val words = list.bufferedReader().use { readWords(it) }
            assertTrue(list.name, words.size >= 20)
            for (word in words) assertEquals(word, normalise(word), filter.find("« $word »"))
        }
    }

    @Test
    fun theCorpusIsToldApart() {
        val unclean = corpus("unclean")
        val clean = corpus("clean")
        val missed = unclean.filter { filter.find(it) == null }
        val alarms = clean.filter { filter.find(it) != null }
        val hits = unclean.size - missed.size
        val rates = "$hits of ${unclean.size} unclean lines found, ${alarms.size} of ${clean.size} clean lines refused"
        File(System.getProperty("pictures")).apply { mkdirs() }.resolve("filter.txt").writeText(rates)
        assertTrue("missed: $missed", missed.isEmpty())
        assertTrue("false alarms: ${alarms.map { it to filter.find(it) }}", alarms.isEmpty())
    }

    @Test
    fun anUnsuitableWordIsNeverShownEvenWhenItComesInPieces() {
        val text = FilteredText(filter)
        val shown = listOf("Well, ", "th", "is ", "is ", "bull", "sh", "it").joinToString("") { text.push(it) }
        assertEquals("Well, this is ", shown + text.finish())
        assertTrue(text.unsuitable)
    }

    @Test
    fun aSuitableTextComesWholeAndWithoutAFilterAtOnce() {
        val text = FilteredText(filter)
        val parts = listOf("Scun", "thorpe ", "is a to", "wn")
        assertEquals("Scunthorpe is a town", parts.joinToString("") { text.push(it) } + text.finish())
        assertEquals("Scun", FilteredText(null).push("Scun"))
        assertNull(WordFilter(emptyList()).find("anything"))
    }
}
