package dev.kerasfarm.generation.filter

import java.text.Normalizer
import java.util.Locale

private val ACCENTS = Regex("[\u0300-\u036F]")
private val INVISIBLE = Regex("\\p{Cf}")

/**
 * Lower case, full-width letters as ordinary ones, without accents and invisible signs, `ß` as `ss`: two ways to write
 * a word become one. The marks of Japanese syllables stay, since they make other syllables.
 */
fun normalise(text: String): String {
    val apart = Normalizer.normalize(Normalizer.normalize(text, Normalizer.Form.NFKC), Normalizer.Form.NFD)
    val bare = INVISIBLE.replace(ACCENTS.replace(apart, ""), "")
    return Normalizer.normalize(bare, Normalizer.Form.NFC).lowercase(Locale.ROOT).replace("ß", "ss")
}
