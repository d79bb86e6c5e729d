package dev.kerasfarm.generation.filter

import java.io.BufferedReader

/** The words of a list: one a line; blank lines and what follows `#` do not count. */
fun readWords(reader: BufferedReader): List<String> =
    reader.readLines().map { it.substringBefore('#').trim() }.filter { it.isNotEmpty() }
