plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "dev.kerasfarm.generation"
    compileSdk = libs.versions.target.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
    }
}

kotlin {
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.fromTarget(libs.versions.jvm.target.get()))
    }
}

dependencies {
    implementation(libs.javacpp)
    implementation(libs.tensorflow.lite)
    // The native libraries of each ABI lie in jars of their own.
    for (abi in listOf("android-arm64", "android-x86_64")) {
        runtimeOnly(variantOf(libs.javacpp) { classifier(abi) })
        runtimeOnly(variantOf(libs.tensorflow.lite) { classifier(abi) })
    }
}
