package dev.kerasfarm.generation.decoding

/** The tokens whose keys and values lie in the model's cache, from its first place on. */
internal class HeldTokens {
    private val tokens = ArrayList<Int>()

    /** How many of the first tokens of [wanted] are held. */
    fun commonWith(wanted: IntArray): Int {
        var count = 0
        while (count < tokens.size && count < wanted.size && tokens[count] == wanted[count]) count++
        return count
    }

    /** What lies from [place] on is not counted on any more. */
    fun cut(place: Int) {
        if (place < tokens.size) tokens.subList(place, tokens.size).clear()
    }

    /** The cache now holds [count] of [source], from [from] on, at [place]; nothing behind them counts. */
    fun put(source: IntArray, from: Int, count: Int, place: Int) {
        cut(place)
        for (index in from until from + count) tokens.add(source[index])
    }
}
