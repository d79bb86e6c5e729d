package dev.kerasfarm.generation.tokenizer

/** A binary heap of longs, the smallest on top, without boxing. */
internal class LongHeap(capacity: Int) {
    private var values = LongArray(capacity.coerceAtLeast(4))

    /** How many values the heap holds. */
    var size = 0
        private set

    /** Adds a value. */
    fun push(value: Long) {
        if (size == values.size) values = values.copyOf(size * 2)
        var hole = size++
        while (hole > 0) {
            val parent = (hole - 1) ushr 1
            if (values[parent] <= value) break
            values[hole] = values[parent]
            hole = parent
        }
        values[hole] = value
    }

    /** Removes and returns the smallest value; the heap must not be empty. */
    fun pop(): Long {
        val top = values[0]
        val last = values[--size]
        var hole = 0
        while (true) {
            var child = 2 * hole + 1
            if (child >= size) break
            if (child + 1 < size && values[child + 1] < values[child]) child++
            if (values[child] >= last) break
            values[hole] = values[child]
            hole = child
        }
        values[hole] = last
        return top
    }
}
