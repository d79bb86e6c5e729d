package dev.kerasfarm.app.ui

import android.app.Activity
import android.text.format.DateUtils
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.TextView
import dev.kerasfarm.app.R
import dev.kerasfarm.app.chat.Entry

/** The rows of the list of conversations; [more] is called with the button of one. */
class ConversationAdapter(private val activity: Activity, private val more: (View, Entry) -> Unit) : BaseAdapter() {
    private var entries = listOf<Entry>()

    /** Shows these. */
    fun show(found: List<Entry>) {
        entries = found
        notifyDataSetChanged()
    }

    override fun getCount(): Int = entries.size

    override fun getItem(place: Int): Entry = entries[place]

    override fun getItemId(place: Int): Long = entries[place].id

    override fun getView(place: Int, present: View?, parent: ViewGroup): View {
        val view = present ?: activity.layoutInflater.inflate(R.layout.conversation, parent, false)
        val entry = entries[place]
        view.findViewById<TextView>(R.id.name).text = entry.title
        view.findViewById<TextView>(R.id.age).text = listOfNotNull(age(entry), entry.model).joinToString(" · ")
        view.findViewById<View>(R.id.more).run {
            contentDescription = activity.getString(R.string.more_of, entry.title)
            setOnClickListener { more(it, entry) }
        }
        return view
    }

    private fun age(entry: Entry): CharSequence =
        DateUtils.getRelativeTimeSpanString(entry.updated, System.currentTimeMillis(), DateUtils.MINUTE_IN_MILLIS)
}
