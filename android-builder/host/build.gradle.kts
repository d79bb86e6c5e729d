plugins {
    alias(libs.plugins.kotlin.jvm)
    application
}

// The library's own classes, unchanged, on a computer: Android's are there for those that name them.
kotlin {
    sourceSets["main"].kotlin.srcDir("../generation/src/main/kotlin")
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.fromTarget(libs.versions.jvm.target.get()))
    }
}

application { mainClass.set("dev.kerasfarm.host.MainKt") }

dependencies {
    implementation(libs.android.all)
    implementation(libs.javacpp)
    implementation(libs.tensorflow.lite)
    runtimeOnly(variantOf(libs.javacpp) { classifier("linux-x86_64") })
    runtimeOnly(variantOf(libs.tensorflow.lite) { classifier("linux-x86_64") })
}
