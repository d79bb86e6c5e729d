package dev.kerasfarm.app.ui

import android.app.Activity
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import dev.kerasfarm.app.R

/** The last question from the field [input], until it is known whether the model takes it. */
class AskedQuestion(private val input: EditText) {
    private var text = ""

    /** The field is emptied: [question] was asked. */
    fun take(question: String) {
        text = question
        input.text.clear()
    }

    /** A question that was [refused] stands in the field again, to be put in other words. */
    fun giveBack(refused: Boolean) {
        if (refused && input.text.isEmpty()) input.append(text)
        text = ""
    }
}

/** Puts a button for each of [prompts] below the welcome; [choose] is given the one that was pressed. */
fun offerPrompts(activity: Activity, prompts: List<String>, choose: (String) -> Unit) {
    val into = activity.findViewById<ViewGroup>(R.id.suggestions)
    for (text in prompts) {
        val button = activity.layoutInflater.inflate(R.layout.suggestion, into, false) as Button
        button.text = text
        button.setOnClickListener { choose(text) }
        into.addView(button)
    }
}
