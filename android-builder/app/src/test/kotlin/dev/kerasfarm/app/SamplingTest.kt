package dev.kerasfarm.app

import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.generation.windowFor
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs
import kotlin.math.ln
import kotlin.math.sqrt

class SamplingTest {
    private val probabilities = doubleArrayOf(0.05, 0.4, 0.25, 0.2, 0.1)
    private val logits = FloatArray(5) { ln(probabilities[it]).toFloat() + 3f }

    private fun draw(sampling: Sampling, count: Int = DRAWS): List<Int> {
        val sampler = sampling.sampler(IntArray(0))
        return List(count) { sampler.choose(logits.copyOf()) }
    }

    /** Every share lies within five standard errors of what is expected. */
    private fun requireShares(sampling: Sampling, expected: DoubleArray) {
        val drawn = draw(sampling)
        for (id in expected.indices) {
            val share = drawn.count { it == id } / DRAWS.toDouble()
            val error = sqrt(expected[id] * (1 - expected[id]) / DRAWS)
            assertTrue("token $id: $share, not ${expected[id]}", abs(share - expected[id]) <= 5 * error)
        }
    }

    @Test
    fun drawsFollowTheProbabilities() = requireShares(Sampling(temperature = 1f, seed = 1), probabilities)

    @Test
    fun theTemperatureFlattensOrSharpens() {
        for (temperature in listOf(0.5f, 2f)) {
            val powers = probabilities.map { Math.pow(it, 1.0 / temperature) }
            val expected = DoubleArray(5) { powers[it] / powers.sum() }
            requireShares(Sampling(temperature, seed = 2), expected)
        }
    }

    @Test
    fun topKKeepsTheLikeliest() =
        requireShares(Sampling(1f, topK = 2, seed = 3), doubleArrayOf(0.0, 0.4 / 0.65, 0.25 / 0.65, 0.0, 0.0))

    @Test
    fun topPKeepsTheFewestThatReachIt() =
        requireShares(Sampling(1f, topP = 0.7f, seed = 4), doubleArrayOf(0.0, 0.4 / 0.85, 0.25 / 0.85, 0.2 / 0.85, 0.0))

    @Test
    fun topPCountsWithinTopK() =
        requireShares(Sampling(1f, topK = 2, topP = 0.5f, seed = 5), doubleArrayOf(0.0, 1.0, 0.0, 0.0, 0.0))

    @Test
    fun temperatureZeroIsGreedy() = assertEquals(setOf(1), draw(Sampling(), 50).toSet())

    @Test
    fun aSeedGivesTheSameDrawsAndAnotherAttemptOthers() {
        val sampling = Sampling(1f, seed = 42)
        assertEquals(draw(sampling, 100), draw(sampling, 100))
        val second = sampling.sampler(IntArray(0), attempt = 1)
        assertNotEquals(draw(sampling, 100), List(100) { second.choose(logits.copyOf()) })
        assertNotEquals(draw(sampling, 100), draw(Sampling(1f, seed = 43), 100))
    }

    @Test
    fun thePenaltyTurnsAwayFromWhatWasThere() {
        val sampler = Sampling(repetitionPenalty = 1.5f).sampler(intArrayOf(1))
        assertEquals(listOf(2, 3, 4), List(3) { sampler.choose(floatArrayOf(-2f, 2f, 1.9f, 1.8f, 1.7f)) })
        val negative = Sampling(repetitionPenalty = 1.5f).sampler(intArrayOf(0))
        assertEquals(1, negative.choose(floatArrayOf(-2f, -2.5f)))
    }

    @Test
    fun theWindowIsHalfOfTheContextUnlessItIsSet() {
        assertEquals(128, windowFor(null, 256))
        assertEquals(40, windowFor(40, 256))
        assertEquals(255, windowFor(900, 256))
        assertEquals(1, windowFor(0, 256))
    }

    private companion object {
        const val DRAWS = 20_000
    }
}
