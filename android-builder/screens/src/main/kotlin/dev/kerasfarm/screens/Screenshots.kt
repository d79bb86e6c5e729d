package dev.kerasfarm.screens

import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

/** The app's screen on a phone, in both themes, as every job shows it. */
@RunWith(AppRunner::class)
@Config(sdk = [34])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class Screenshots {
    @Test
    @Config(qualifiers = "w411dp-h731dp-port-notnight-420dpi")
    fun light() = take("screenshot-light.png")

    @Test
    @Config(qualifiers = "w411dp-h731dp-port-night-420dpi")
    fun dark() = take("screenshot-dark.png")
}
