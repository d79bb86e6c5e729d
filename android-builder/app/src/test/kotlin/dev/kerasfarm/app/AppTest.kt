package dev.kerasfarm.app

import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import dev.kerasfarm.app.generation.Phase
import dev.kerasfarm.app.generation.Session
import dev.kerasfarm.app.ui.AutocompleteApplication
import dev.kerasfarm.app.ui.MainActivity
import dev.kerasfarm.screens.AppRunner
import dev.kerasfarm.screens.await
import org.junit.After
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

/** What tests of the main screen share: the screen on a phone, with the package's own model opened. */
@RunWith(AppRunner::class)
@Config(sdk = [34], qualifiers = "w411dp-h731dp-port-notnight-420dpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
abstract class AppTest {
    protected lateinit var controller: ActivityController<MainActivity>

    protected val activity: MainActivity get() = controller.get()
    protected val session: Session
        get() = (RuntimeEnvironment.getApplication() as AutocompleteApplication).session

    protected fun open() {
        controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        await("the model") { session.state.phase == Phase.READY || session.state.notice != null }
    }

    protected fun <T : View> view(id: Int): T = activity.findViewById(id)

    protected fun text(id: Int): String = view<TextView>(id).text.toString()

    protected fun type(text: String) = view<EditText>(R.id.prompt).setText(text)

    protected fun press(id: Int) = check(view<Button>(id).performClick()) { "nobody listens to the button" }

    protected fun answer(prompt: String) {
        type(prompt)
        press(R.id.generate)
        await("the answer") { !session.state.busy }
    }

    @After
    fun close() {
        if (!::controller.isInitialized) return
        session.release()
        await("the model to close") { session.state.phase == Phase.CLOSED }
        controller.close()
    }
}
