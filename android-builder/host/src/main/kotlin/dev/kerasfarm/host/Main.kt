package dev.kerasfarm.host

import org.json.JSONException
import org.json.JSONObject

/**
 * Drives the app's own tokenizer and engine on a computer, unchanged: JSON lines in, JSON lines out.
 *
 * See android-builder/README.md for the commands. What goes wrong with one command is answered as
 * `{"error": sentence}`; the program goes on with the next line.
 */
object Main {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val output = System.out.bufferedWriter()
        Driver().use { driver ->
            for (line in System.`in`.bufferedReader().lineSequence()) {
                val answer = answer(driver, line) ?: break
                output.write(answer.toString())
                output.newLine()
                output.flush()
            }
        }
    }

    /** The answer to one line; null for `quit`. */
    private fun answer(driver: Driver, line: String): JSONObject? =
        try {
            val command = JSONObject(line)
            if (command.getString("cmd") == "quit") null else driver.run(command)
        } catch (error: HostError) {
            failure(error)
        } catch (error: JSONException) {
            failure(error)
        }

    private fun failure(error: Exception): JSONObject = JSONObject().put("error", error.message ?: error.toString())
}
