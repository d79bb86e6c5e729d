"""The files by which Android Studio builds with the versions of `android-builder/artifacts.toml`.

`python -m pipeline.android.version_catalog` writes them; a test compares them with the table.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from farm import locations
from pipeline.android import written_files
from pipeline.toolchain import pins
from pipeline.toolchain.pins import MavenArtifact, Pins, Role

# It writes files; none is read.
DATA_FILES: tuple[str, ...] = ()

CATALOG = "gradle/libs.versions.toml"
WRAPPER = "gradle/wrapper/gradle-wrapper.properties"
WRAPPER_JAR = "gradle/wrapper/gradle-wrapper.jar"
# What Gradle resolves by itself: each artifact's dependencies, and the standard library with the Kotlin plugin.
LIBRARY_ROLES = (Role.LIBRARY, Role.DEVICE_TEST, Role.PLATFORM, Role.FLEX_API, Role.FLEX_RUNTIME)
KOTLIN = "kotlin-stdlib"
ROBOLECTRIC = "robolectric"
# The app's own runtime has the name `tensorflow-lite`, of which no other may be the beginning: Gradle tells the two
# apart by another way of naming them.
FLEX_NAMES = {
    "tensorflow-lite-api": "flex-api", "tensorflow-lite-select-tf-ops": "flex-ops", "tensorflow-lite": "flex-runtime",
}  # fmt: skip
DISTRIBUTIONS = "https\\://services.gradle.org/distributions"


def files(table: Pins) -> Mapping[str, str]:
    """The content of each file, by its path below `android-builder`."""
    return {CATALOG: version_catalog(table), WRAPPER: wrapper(table)}


def version_catalog(table: Pins) -> str:
    """Gradle's version catalog."""
    libraries = {_alias(one): one for role in LIBRARY_ROLES for one in table.with_role(role)}
    libraries |= {one.name: one for one in table.with_role(Role.TEST) if one.name == ROBOLECTRIC}
    kotlin = libraries.pop(KOTLIN).version
    versions = {
        "android-plugin": table.gradle.android_plugin,
        "kotlin": kotlin,
        "min-sdk": str(table.target.min_sdk),
        "target-sdk": str(table.target.target_sdk),
        "jvm-target": table.target.jvm_target,
    }
    plugins = {
        "android-application": ("com.android.application", "android-plugin"),
        "android-library": ("com.android.library", "android-plugin"),
        "kotlin-android": ("org.jetbrains.kotlin.android", "kotlin"),
        "kotlin-jvm": ("org.jetbrains.kotlin.jvm", "kotlin"),
    }
    lines = [
        "# Written from artifacts.toml by `python -m pipeline.android.version_catalog`; change it there.",
        "[versions]",
    ]
    lines += [f'{name} = "{version}"' for name, version in versions.items()]
    lines += ["", "[libraries]"]
    lines += [
        f'{name} = {{ module = "{one.group}:{one.name}", version = "{one.version}" }}'
        for name, one in sorted(libraries.items())
    ]
    lines += ["", "[plugins]"]
    lines += [f'{name} = {{ id = "{id_}", version.ref = "{version}" }}' for name, (id_, version) in plugins.items()]
    return "\n".join(lines) + "\n"


def _alias(artifact: MavenArtifact) -> str:
    with_flex = artifact.role in (Role.FLEX_API, Role.FLEX_RUNTIME)
    return FLEX_NAMES[artifact.name] if with_flex else artifact.name


def wrapper(table: Pins) -> str:
    """What the wrapper fetches, which it refuses with another hash."""
    lines = {
        "distributionBase": "GRADLE_USER_HOME",
        "distributionPath": "wrapper/dists",
        "distributionSha256Sum": table.gradle.distribution_sha256,
        "distributionUrl": f"{DISTRIBUTIONS}/gradle-{table.gradle.version}-bin.zip",
        "networkTimeout": "10000",
        "validateDistributionUrl": "true",
        "zipStoreBase": "GRADLE_USER_HOME",
        "zipStorePath": "wrapper/dists",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def main() -> int:
    """Write the files; the exit code is the error's, or 0."""
    return written_files.write(locations.ANDROID_BUILDER, lambda: files(pins.load()))


if __name__ == "__main__":
    sys.exit(main())
