package dev.kerasfarm.screens

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import org.robolectric.Shadows.shadowOf
import java.io.File
import java.util.concurrent.TimeoutException

private const val PATIENCE_MILLISECONDS = 60_000L
private const val PAUSE_MILLISECONDS = 5L

/** Lets the main thread do its work until [condition] holds; TimeoutException names [what] after a minute. */
fun await(what: String, condition: () -> Boolean) {
    val end = System.currentTimeMillis() + PATIENCE_MILLISECONDS
    while (true) {
        shadowOf(Looper.getMainLooper()).idle()
        if (condition()) {
            // What is awaited may be seen here before the screen is told of it.
            Thread.sleep(PAUSE_MILLISECONDS)
            shadowOf(Looper.getMainLooper()).idle()
            return
        }
        if (System.currentTimeMillis() > end) throw TimeoutException("waited a minute for $what")
        Thread.sleep(PAUSE_MILLISECONDS)
    }
}

/** Writes what the activity shows as a PNG file. */
fun draw(activity: Activity, file: File) {
    val view = activity.window.decorView
    val picture = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
    view.draw(Canvas(picture))
    file.outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
}
