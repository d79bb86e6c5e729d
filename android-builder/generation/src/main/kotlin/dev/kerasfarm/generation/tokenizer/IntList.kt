package dev.kerasfarm.generation.tokenizer

/** A growing list of ints without boxing. */
internal class IntList(capacity: Int) {
    private var values = IntArray(capacity.coerceAtLeast(4))

    /** How many values there are. */
    var size = 0
        private set

    /** Appends one value. */
    fun add(value: Int) {
        reserve(1)
        values[size++] = value
    }

    /** Appends the first [count] values of [source]. */
    fun addAll(source: IntArray, count: Int) {
        reserve(count)
        source.copyInto(values, size, 0, count)
        size += count
    }

    /** The values as an array of their exact number. */
    fun toArray(): IntArray = values.copyOf(size)

    private fun reserve(more: Int) {
        if (size + more > values.size) values = values.copyOf(maxOf(values.size * 2, size + more))
    }
}
