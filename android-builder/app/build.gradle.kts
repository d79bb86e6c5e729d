plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "dev.kerasfarm.app"
    compileSdk = libs.versions.target.sdk.get().toInt()

    defaultConfig {
        applicationId = providers.gradleProperty("autocomplete.applicationId").get()
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.target.sdk.get().toInt()
        versionCode = providers.gradleProperty("autocomplete.versionCode").get().toInt()
        versionName = providers.gradleProperty("autocomplete.versionName").get()
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
        ndk { abiFilters += providers.gradleProperty("autocomplete.abis").get().split(",") }
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    sourceSets {
        // A job's own name for the app, which takes the place of the one in main.
        getByName("debug").res.srcDir("src/job/res")
        getByName("release").res.srcDir("src/job/res")
        // What draws the screens on a computer, for the tests and for a job's pictures.
        getByName("test").kotlin.srcDir("../screens/src/main/kotlin")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvm.target.get())
    }

    // The model is mapped out of the package where it lies.
    androidResources { noCompress += "tflite" }
}

kotlin {
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.fromTarget(libs.versions.jvm.target.get()))
    }
}

dependencies {
    implementation(project(":generation"))

    testImplementation(libs.junit)
    testImplementation(libs.robolectric)

    androidTestImplementation(libs.junit)
    androidTestImplementation(libs.monitor)
    androidTestRuntimeOnly(libs.runner)
}
