package dev.kerasfarm.host

import dev.kerasfarm.generation.chat.Turn
import dev.kerasfarm.generation.chat.encode
import dev.kerasfarm.generation.chat.render
import dev.kerasfarm.generation.decoding.Generator
import dev.kerasfarm.generation.decoding.PromptLookupDrafter
import dev.kerasfarm.generation.decoding.PromptTooLong
import dev.kerasfarm.generation.decoding.Sampling
import dev.kerasfarm.generation.engine.CpuThreads
import dev.kerasfarm.generation.engine.LanguageModel
import dev.kerasfarm.generation.engine.MemoryFull
import dev.kerasfarm.generation.engine.ModelRegion
import dev.kerasfarm.generation.engine.ModelUnusable
import dev.kerasfarm.generation.engine.keeps
import dev.kerasfarm.generation.engine.longestCall
import dev.kerasfarm.generation.engine.ringRows
import dev.kerasfarm.generation.engine.rowsFor
import dev.kerasfarm.generation.engine.sees
import dev.kerasfarm.generation.model.ChatTemplate
import dev.kerasfarm.generation.model.ModelInfo
import dev.kerasfarm.generation.model.ModelInfoUnusable
import dev.kerasfarm.generation.tokenizer.CodePointClasses
import dev.kerasfarm.generation.tokenizer.TokenTable
import dev.kerasfarm.generation.tokenizer.Tokenizer
import dev.kerasfarm.generation.tokenizer.TokenizerFile
import dev.kerasfarm.generation.tokenizer.TokenizerUnusable
import org.json.JSONArray
import org.json.JSONObject
import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** One tokenizer and one model, and the commands that use them. */
class Driver : Closeable {
    private var tokenizer: Tokenizer? = null
    private var model: LanguageModel? = null
    private var stopTokens = emptySet<Int>()
    private var chat: ChatTemplate? = null

    /** Runs a command; throws [HostError] with a sentence, or JSONException when the command has another form. */
    fun run(command: JSONObject): JSONObject =
        try {
            when (val name = command.getString("cmd")) {
                "open" -> open(command)
                "tokenize" -> tokenize(command)
                "detokenize" -> detokenize(integers(command, "ids"))
                "generate" -> generate(command)
                "score" -> score(command)
                "draft" -> draft(command)
                "lengths" -> lengths(command)
                "mask" -> mask(command)
                "sample" -> sample(command)
                "conversation" -> conversation(command)
                else -> throw HostError(
                    "There is no command $name; use open, tokenize, detokenize, generate, score, draft, lengths, mask," +
                        " sample, conversation or quit.",
                )
            }
        } catch (error: ModelUnusable) {
            throw HostError(sentence(error))
        } catch (error: ModelInfoUnusable) {
            throw HostError(sentence(error))
        } catch (error: TokenizerUnusable) {
            throw HostError(sentence(error))
        } catch (error: MemoryFull) {
            throw HostError(sentence(error))
        } catch (error: PromptTooLong) {
            throw HostError(sentence(error))
        } catch (error: IllegalArgumentException) {
            throw HostError(sentence(error))
        } catch (error: IOException) {
            throw HostError("A file cannot be read: ${error.message}.")
        }

    override fun close() {
        model?.close()
        model = null
        tokenizer = null
        chat = null
    }

    private fun open(command: JSONObject): JSONObject {
        close()
        val heap = if (command.optBoolean("measures")) heapInUse() else 0
        val began = cpuTime()
        val threads = command.optInt("threads", 0).takeIf { it > 0 } ?: CpuThreads.threads()
        if (command.has("apk")) openApk(File(command.getString("apk")), threads) else openFiles(command, threads)
        val seconds = (cpuTime() - began) / NANOSECONDS
        val answer = JSONObject().put("threads", threads)
        tokenizer?.let { answer.put("tokenizer_size", it.size) }
        if (command.optBoolean("measures")) {
            answer.put("seconds", seconds).put("heap_bytes", heapInUse() - heap)
        }
        model?.let {
            answer.put("context", it.context).put("vocabulary_size", it.vocabularySize)
            answer.put("rows", it.rows)
        }
        return answer
    }

    /** From the APK's assets, the model mapped in place, as on the phone. */
    private fun openApk(apk: File, threads: Int) {
        val assets = ApkAssets(apk)
        val info = ModelInfo.parse(assets.read("model-info.json").decodeToString())
        val classes = assets.read("unicode-classes.bin")
        tokenizer = when {
            info.tokenizer == null -> null
            assets.has("tokenizer.bin") -> readTable(assets.read("tokenizer.bin").inputStream(), classes, info.readsSpecial)
            else -> readTokenizer(assets.read("tokenizer.json"), classes, info.readsSpecial)
        }
        chat = info.chat
        val stored = assets.locate("autocomplete.tflite")
        openModel(apk, stored.offset, stored.length, info, threads)
    }

    /**
     * From files, each optional: `tokenizer` (or `table`, its table) with `unicode_classes` and `reads_special`, and
     * `model` with `info`.
     */
    private fun openFiles(command: JSONObject, threads: Int) {
        val special = command.optBoolean("reads_special")
        fun classes() = File(command.getString("unicode_classes")).readBytes()
        tokenizer = when {
            command.has("tokenizer") -> readTokenizer(File(command.getString("tokenizer")).readBytes(), classes(), special)
            command.has("table") -> readTable(File(command.getString("table")).inputStream(), classes(), special)
            else -> null
        }
        if (command.has("model")) {
            val file = File(command.getString("model"))
            val info = ModelInfo.parse(File(command.getString("info")).readText())
            val free = if (command.has("free_bytes")) command.getLong("free_bytes") else null
            openModel(file, 0, file.length(), info, threads, free)
        }
    }

    private fun readTokenizer(file: ByteArray, classes: ByteArray, readsSpecial: Boolean): Tokenizer =
        file.inputStream().reader().use {
            TokenizerFile.read(it, CodePointClasses.read(classes.inputStream()), readsSpecial)
        }

    private fun readTable(file: InputStream, classes: ByteArray, readsSpecial: Boolean): Tokenizer =
        file.buffered().use { TokenTable.read(it, CodePointClasses.read(classes.inputStream()), readsSpecial).tokenizer }

    private fun openModel(
        file: File,
        offset: Long,
        length: Long,
        info: ModelInfo,
        threads: Int,
        free: Long? = null,
    ) {
        stopTokens = info.stopTokens
        model = RandomAccessFile(file, "r").use {
            val region = ModelRegion(it.channel, offset, length)
            if (free == null) {
                LanguageModel.open(region, threads, info.context)
            } else {
                LanguageModel.open(region, threads, info.context) { free }
            }
        }
    }

    /** The text's tokens; with `repeats` also the seconds that the fastest of so many readings takes of a processor. */
    private fun tokenize(command: JSONObject): JSONObject {
        val text = command.getString("text")
        val answer = JSONObject().put("ids", JSONArray(needTokenizer().encode(text)))
        val fastest = List(command.optInt("repeats")) {
            val began = cpuTime()
            needTokenizer().encode(text)
            cpuTime() - began
        }.minOrNull()
        return if (fastest == null) answer else answer.put("seconds", fastest / NANOSECONDS)
    }

    /** Nanoseconds of a processor that this thread has had: what else the machine does is no part of them. */
    private fun cpuTime(): Long = ManagementFactory.getThreadMXBean().currentThreadCpuTime

    /** The text twice: at once and as the stream that the app shows, which must be the same. */
    private fun detokenize(ids: IntArray): JSONObject {
        val decoder = needTokenizer().decoder()
        val parts = ids.map { decoder.push(it) } + decoder.finish()
        return JSONObject().put("text", needTokenizer().decode(ids)).put("parts", JSONArray(parts))
    }

    private fun generate(command: JSONObject): JSONObject {
        val model = model ?: throw HostError("No model is open; send an open command first.")
        val sampler = MarginRecorder()
        val began = System.nanoTime()
        val prompt = integers(command, "prompt_tokens")
        val run = Generator(model, stopTokens).start(prompt, command.getInt("max_new_tokens"), sampler)
        run.read { true }
        val read = System.nanoTime()
        val tokens = generateSequence { run.next() }.toList()
        return JSONObject()
            .put("tokens", JSONArray(tokens))
            .put("margins", JSONArray(sampler.margins))
            .put("stop_reason", checkNotNull(run.reason).name.lowercase())
            .put("prefill_seconds", (read - began) / NANOSECONDS)
            .put("decode_seconds", (System.nanoTime() - read) / NANOSECONDS)
            .put("rows", model.rows)
    }

    /**
     * Reads the tokens and writes the logits behind each from the position `from` on, as little-endian float32.
     *
     * With `seconds` it ends once these are over and `least` rows are written.
     */
    private fun score(command: JSONObject): JSONObject {
        val model = model ?: throw HostError("No model is open; send an open command first.")
        val tokens = integers(command, "tokens")
        val from = command.optInt("from")
        require(from in tokens.indices) { "from is $from, but there are ${tokens.size} tokens" }
        if (tokens.size > model.context) throw PromptTooLong(tokens.size, model.context)
        val began = System.nanoTime()
        val seconds = command.optDouble("seconds", Double.POSITIVE_INFINITY)
        val least = command.optInt("least")
        fun more(rows: Int) = rows < least || (System.nanoTime() - began) / NANOSECONDS < seconds
        model.reset()
        var position = 0
        val before = tokens.copyOf(from)
        while (position < from) position += model.read(before, position)
        val logits = FloatArray(model.vocabularySize)
        val row = ByteBuffer.allocate(logits.size * Float.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        File(command.getString("logits")).outputStream().buffered().use { output ->
            while (position < tokens.size && more(position - from)) {
                val count = minOf(model.roomAt(position), tokens.size - position)
                model.score(tokens.copyOfRange(position, position + count), position)
                for (number in 0 until count) {
                    model.readLogits(number, logits)
                    row.asFloatBuffer().put(logits)
                    output.write(row.array())
                }
                position += count
            }
        }
        return JSONObject().put("rows", position - from).put("vocabulary_size", logits.size)
    }

    /** At most `most` drafts for each call that writes `tokens` from place `prompt` on: [place, drafts] where there are any. */
    private fun draft(command: JSONObject): JSONObject {
        val tokens = integers(command, "tokens")
        var place = command.getInt("prompt")
        val drafter = PromptLookupDrafter(tokens.copyOf(place))
        val drafts = JSONArray()
        while (place < tokens.size) {
            val drafted = drafter.draft(minOf(command.getInt("most"), tokens.size - place - 1))
            if (drafted.isNotEmpty()) drafts.put(JSONArray(listOf(place, JSONArray(drafted))))
            val held = drafted.indices.takeWhile { drafted[it] == tokens[place + it] }.size
            repeat(held + 1) { drafter.append(tokens[place++]) }
        }
        return JSONObject().put("drafts", drafts)
    }

    /** As many tokens as `steps` says, drawn from the rows of `logits` in turn. */
    private fun sample(command: JSONObject): JSONObject {
        val sampling = Sampling(
            temperature = command.getDouble("temperature").toFloat(),
            topK = command.getInt("top_k"),
            topP = command.getDouble("top_p").toFloat(),
            repetitionPenalty = command.getDouble("repetition_penalty").toFloat(),
            seed = if (command.isNull("seed")) null else command.getLong("seed"),
            minP = command.getDouble("min_p").toFloat(),
        )
        val array = command.getJSONArray("logits")
        val rows = List(array.length()) { row ->
            array.getJSONArray(row).let { values -> FloatArray(values.length()) { values.getDouble(it).toFloat() } }
        }
        val sampler = sampling.sampler(integers(command, "prompt"), command.getInt("attempt"))
        val tokens = List(command.getInt("steps")) { sampler.choose(rows[it % rows.size].copyOf()) }
        return JSONObject().put("tokens", JSONArray(tokens))
    }

    /** The tokens that the model reads of a conversation. */
    private fun conversation(command: JSONObject): JSONObject {
        val template = chat ?: throw HostError("The model that is open has no chat template.")
        val array = command.getJSONArray("turns")
        val turns = List(array.length()) { number ->
            val turn = array.getJSONObject(number)
            Turn(turn.getString("question"), if (turn.isNull("answer")) null else turn.getString("answer"))
        }
        val system = if (command.isNull("system")) null else command.getString("system")
        val segments = render(template, system, turns, command.optBoolean("thinking"))
        return JSONObject().put("ids", JSONArray(encode(needTokenizer(), segments)))
    }

    /**
     * For texts of up to `limit` tokens whose last one is at one of `positions`, in a model with attention `windows`: the
     * rows of its cache and of each window's, the longest call from there on, and which of the places 0, 50, ... it could
     * go back to. `rewinds`: [place, how many tokens were read, rows] each, and whether the text could go on there.
     */
    private fun lengths(command: JSONObject): JSONObject {
        val windows = integers(command, "windows").toList()
        val limit = command.getInt("limit")
        val positions = integers(command, "positions")
        val rows = positions.map { rowsFor(it + 1, limit) }
        val kept = positions.zip(rows) { position, held ->
            JSONArray((0..position step 50).map { keeps(it, position + 1, held, windows) })
        }
        val asked = command.optJSONArray("rewinds") ?: JSONArray()
        val rewinds = List(asked.length()) { asked.getJSONArray(it) }
            .map { keeps(it.getInt(0), it.getInt(1), it.getInt(2), windows) }
        return JSONObject()
            .put("rows", JSONArray(rows))
            .put("rings", JSONArray(rows.map { held -> JSONArray(windows.map { ringRows(held, it) }) }))
            .put("rewinds", JSONArray(rewinds))
            .put("longest", JSONArray(positions.map { longestCall(it, windows) }))
            .put("keeps", JSONArray(kept))
    }

    /** Which of its `rows` each of `count` tokens from `position` on sees, as text: 1 for a row that is seen. */
    private fun mask(command: JSONObject): JSONObject {
        val position = command.getInt("position")
        val rows = command.getInt("rows")
        val window = if (command.isNull("window")) null else command.getInt("window")
        val tokens = position until position + command.getInt("count")
        val seen = tokens.map { token ->
            (0 until rows).joinToString("") { if (sees(token, it, tokens.last, rows, window)) "1" else "0" }
        }
        return JSONObject().put("seen", JSONArray(seen))
    }

    private fun needTokenizer(): Tokenizer =
        tokenizer ?: throw HostError("No tokenizer is open; send an open command first.")

    private fun integers(command: JSONObject, name: String): IntArray {
        val array = command.getJSONArray(name)
        return IntArray(array.length()) { array.getInt(it) }
    }

    private fun heapInUse(): Long {
        System.gc()
        return Runtime.getRuntime().let { it.totalMemory() - it.freeMemory() }
    }

    private fun sentence(error: Exception): String =
        error.message.orEmpty().replaceFirstChar { it.uppercase() }.trimEnd('.') + "."

    private companion object {
        const val NANOSECONDS = 1e9
    }
}
