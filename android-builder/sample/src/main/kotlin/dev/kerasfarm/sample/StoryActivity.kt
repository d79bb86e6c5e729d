package dev.kerasfarm.sample

import android.app.Activity
import android.os.Bundle
import android.widget.TextView
import dev.kerasfarm.generation.GenerationException
import dev.kerasfarm.generation.GenerationOptions
import dev.kerasfarm.generation.TextGenerator
import java.util.concurrent.Executors

/** An app's screen that shows how a story goes on: the whole use of `generation.aar`. */
class StoryActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private val story by lazy { TextView(this) }

    @Volatile
    private var left = false

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(story)
        worker.execute { tell("Once upon a time") }
    }

    override fun onDestroy() {
        left = true
        worker.shutdown()
        super.onDestroy()
    }

    private fun tell(beginning: String) {
        val options = GenerationOptions(maxTokens = 80, temperature = 0.8f, topK = 40)
        try {
            TextGenerator.open(assets).use { generator ->
                show(beginning)
                generator.generate(beginning, options) { part ->
                    show(part)
                    !left
                }
            }
        } catch (refused: GenerationException) {
            show(refused.message.orEmpty())
        }
    }

    private fun show(part: String) = runOnUiThread { story.append(part) }
}
