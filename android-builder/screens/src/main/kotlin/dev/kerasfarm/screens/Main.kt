package dev.kerasfarm.screens

import org.json.JSONObject
import org.junit.runner.Description
import org.junit.runner.JUnitCore
import org.junit.runner.notification.Failure
import org.junit.runner.notification.RunListener
import kotlin.system.exitProcess

/** Runs the JUnit classes named by [names] and writes one JSON line a test. */
fun main(names: Array<String>) {
    val core = JUnitCore()
    core.addListener(LineWriter())
    core.run(*names.map { Class.forName(it) }.toTypedArray())
    System.out.flush()
    // Threads of the platform would keep the process alive.
    exitProcess(0)
}

/** `{"test": "Class.method", "seconds": s, "failure": null|text}` for every test that ended. */
private class LineWriter : RunListener() {
    private val began = HashMap<Description, Long>()
    private val failures = HashMap<Description, String>()

    override fun testStarted(description: Description) {
        began[description] = System.nanoTime()
    }

    override fun testFailure(failure: Failure) {
        failures[failure.description] = failure.trace
        // A class that cannot even be prepared has no test that ends.
        if (failure.description.methodName == null) testFinished(failure.description)
    }

    override fun testFinished(description: Description) {
        val line = JSONObject()
        line.put("test", description.displayName)
        line.put("seconds", began[description]?.let { (System.nanoTime() - it) / NANOSECONDS } ?: 0.0)
        line.put("failure", failures[description] ?: JSONObject.NULL)
        println(line)
    }

    private companion object {
        const val NANOSECONDS = 1e9
    }
}
