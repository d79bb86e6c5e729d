pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "autocomplete"

include(":generation")
include(":app")
// These stay with the farm: a job's project has the first two alone.
listOf("strings", "sample", "host").filter { file(it).isDirectory }.forEach { include(":$it") }
