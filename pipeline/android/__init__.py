"""The Android half: toolchain, compilation, packaging, signing and the checks of an APK."""
