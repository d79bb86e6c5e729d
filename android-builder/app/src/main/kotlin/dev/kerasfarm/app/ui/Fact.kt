package dev.kerasfarm.app.ui

import android.view.LayoutInflater
import android.view.ViewGroup
import android.widget.TextView
import dev.kerasfarm.app.R

/** Adds a row to a list of facts: what it is in small letters, then [value], which can be copied. */
fun addFact(list: ViewGroup, name: String, value: String) {
    val row = LayoutInflater.from(list.context).inflate(R.layout.fact, list, false)
    row.findViewById<TextView>(R.id.fact_name).text = name
    row.findViewById<TextView>(R.id.fact_value).text = value
    list.addView(row)
}
