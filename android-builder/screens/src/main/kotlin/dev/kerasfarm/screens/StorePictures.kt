package dev.kerasfarm.screens

import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

/** The app's screen in the sizes that Google Play takes: a phone of 1080 x 1920, tablets of 1200 x 1920 and 1600 x 2560. */
@RunWith(AppRunner::class)
@Config(sdk = [34])
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class StorePictures {
    @Test
    @Config(qualifiers = "w360dp-h640dp-port-notnight-480dpi")
    fun phoneLight() = take("phone-light.png")

    @Test
    @Config(qualifiers = "w360dp-h640dp-port-night-480dpi")
    fun phoneDark() = take("phone-dark.png")

    @Test
    @Config(qualifiers = "w600dp-h960dp-port-notnight-320dpi")
    fun smallTabletLight() = take("tablet-7-light.png")

    @Test
    @Config(qualifiers = "w600dp-h960dp-port-night-320dpi")
    fun smallTabletDark() = take("tablet-7-dark.png")

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-notnight-320dpi")
    fun tabletLight() = take("tablet-10-light.png")

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-night-320dpi")
    fun tabletDark() = take("tablet-10-dark.png")
}
