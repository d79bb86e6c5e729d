package dev.kerasfarm.app

import android.app.Activity
import android.os.Bundle
import android.os.StrictMode
import android.view.View
import android.widget.EditText
import android.widget.TextView
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.ui.MainActivity
import dev.kerasfarm.app.ui.ModelActivity
import dev.kerasfarm.generation.model.Mode
import dev.kerasfarm.screens.AppRunner
import dev.kerasfarm.screens.await
import dev.kerasfarm.screens.draw
import org.junit.After
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File

/** What tests of the screens share: the first screen on a phone, with the package's own model opened. */
@RunWith(AppRunner::class)
@Config(sdk = [34], qualifiers = "w411dp-h731dp-port-notnight-420dpi", application = TestApp::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
abstract class AppTest {
    protected lateinit var controller: ActivityController<MainActivity>

    protected val app: TestApp get() = RuntimeEnvironment.getApplication() as TestApp
    protected val activity: MainActivity get() = controller.get()
    protected val session: Session get() = app.session

    /** Opens the first screen, as it was [saved] by an earlier process. What blocks its thread ends the test. */
    protected fun open(mode: Mode? = Mode.COMPLETE, saved: Bundle? = null) {
        app.mode = mode
        StrictMode.setThreadPolicy(StrictMode.ThreadPolicy.Builder().detectAll().penaltyDeath().build())
        val built = Robolectric.buildActivity(MainActivity::class.java)
        controller = if (saved == null) built.setup() else built.setup(saved)
        await("the model") { session.state.phase == Phase.READY || session.state.notice != null }
    }

    /** Opens a screen behind the first one for as long as [use] takes. */
    protected fun <T : ModelActivity> screen(kind: Class<T>, use: (T) -> Unit) {
        val opened = Robolectric.buildActivity(kind).setup()
        await("the screen") { opened.get().findViewById<View>(R.id.root) != null }
        use(opened.get())
        opened.close()
    }

    protected fun <T : View> view(id: Int): T = activity.findViewById(id)

    protected fun visible(id: Int): Boolean = view<View>(id).visibility == View.VISIBLE

    protected fun text(id: Int): String = view<TextView>(id).text.toString()

    protected fun type(text: String) = view<EditText>(R.id.prompt).run {
        setText(text)
        setSelection(text.length)
    }

    protected fun press(id: Int) = check(view<View>(id).performClick()) { "nobody listens to the button" }

    protected fun answer(prompt: String) {
        type(prompt)
        press(R.id.generate)
        await("the answer") { !session.state.busy }
    }

    /** Waits until the first screen says a sentence that begins so. */
    protected fun requireNotice(beginning: String) =
        await("'$beginning' instead of '${text(R.id.notice)}'") { text(R.id.notice).startsWith(beginning) }

    protected fun picture(shown: Activity, name: String) = blocking {
        draw(shown, File(System.getProperty("pictures")).apply { mkdirs() }.resolve("$name.png"))
    }

    /** Lets the test itself do what the app may not do on its main thread. */
    protected fun <T> blocking(work: () -> T): T {
        val strict = StrictMode.getThreadPolicy()
        StrictMode.setThreadPolicy(StrictMode.ThreadPolicy.LAX)
        return work().also { StrictMode.setThreadPolicy(strict) }
    }

    @After
    fun close() {
        StrictMode.setThreadPolicy(StrictMode.ThreadPolicy.LAX)
        if (!::controller.isInitialized) return
        session.release()
        await("the model to close") { session.state.phase == Phase.CLOSED }
        controller.close()
    }
}
