package dev.kerasfarm.app.markdown

import android.content.Context
import android.graphics.Typeface
import android.text.SpannableString
import android.text.Spanned
import android.text.TextPaint
import android.text.style.BackgroundColorSpan
import android.text.style.ForegroundColorSpan
import android.text.style.LeadingMarginSpan
import android.text.style.StrikethroughSpan
import android.text.style.StyleSpan
import android.text.style.TypefaceSpan
import dev.kerasfarm.app.R

/** Gives the text of a block its marks; [paint] is that of a paragraph. */
internal class InlineText(private val context: Context, private val paint: TextPaint) {
    private val codeColor = context.getColor(R.color.surface)
    private val linkColor = context.getColor(R.color.primary)

    /** The text with its marks; the first [plain] characters are as they are. */
    fun of(source: String, plain: Int = 0): SpannableString {
        val inline = parseInline(source.substring(plain))
        val text = SpannableString(source.substring(0, plain) + inline.text)
        for (mark in inline.marks) {
            for (span in spansOf(mark.look)) {
                text.setSpan(span, plain + mark.start, plain + mark.end, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
            }
        }
        return text
    }

    /** An item's [text] behind its [marker]; further lines begin where the first one's words do. */
    fun ofItem(marker: String, text: String): CharSequence {
        val shown = of("$marker\u00A0 $text", plain = marker.length + 2)
        val margin = LeadingMarginSpan.Standard(0, paint.measureText(shown, 0, marker.length + 2).toInt())
        shown.setSpan(margin, 0, shown.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        return shown
    }

    private fun spansOf(look: Look): List<Any> = when (look) {
        Look.BOLD -> listOf(StyleSpan(Typeface.BOLD))
        Look.ITALIC -> listOf(StyleSpan(Typeface.ITALIC))
        Look.STRUCK -> listOf(StrikethroughSpan())
        Look.CODE -> listOf(TypefaceSpan("monospace"), BackgroundColorSpan(codeColor))
        Look.LINK -> listOf(ForegroundColorSpan(linkColor))
    }
}
