"""Puts the Android Studio project together: the sources that the farm builds, a job's model and its golden prompts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from farm.appspec import AppSpec
from farm.errors import StageCrashed
from pipeline.android import archive, resources
from pipeline.android.archive import Member
from pipeline.android.base import AppSources

DATA_FILES = (
    "android-builder/settings.gradle.kts", "android-builder/build.gradle.kts", "android-builder/gradlew",
    "android-builder/gradlew.bat", "android-builder/gradle.properties", "android-builder/STUDIO.md",
    "android-builder/gradle/**/*", "android-builder/app/build.gradle.kts", "android-builder/app/src/main/**/*",
    "android-builder/app/src/androidTest/**/*", "android-builder/generation/build.gradle.kts",
    "android-builder/generation/consumer-rules.pro", "android-builder/generation/src/main/**/*",
)  # fmt: skip

# The folder that the archive unpacks to.
FOLDER = "android-project"
PROGRAMS = ("gradlew",)
README = "STUDIO.md"
PROPERTIES = "gradle.properties"
GOLDEN = "app/src/androidTest/assets/golden.json"
JOB_RESOURCES = "app/src/job/res"
# Below `android-builder`: what goes into the project as it is. The tests that run on the farm's machines stay here,
# since they need its stand-in for Android.
BUILDER = "android-builder/"
PATTERNS = tuple(each.removeprefix(BUILDER) for each in DATA_FILES if not each.endswith((README, PROPERTIES)))
IGNORED = "/.gradle/\n/.idea/\n/local.properties\nbuild/\n"


def write(target: Path, sources: AppSources, app: AppSpec, assets: Mapping[str, Path], golden: Path) -> None:
    """Write the archive. assets: what the job puts into the app, by entry name (`assets/...`), stored uncompressed.

    The same job gives the same bytes.
    """
    archive.write(target, _members(sources, app, assets, golden))


def source_files(sources: AppSources) -> Mapping[str, Path]:
    """The files that go into the project as they are, by their paths in it."""
    found = {path for pattern in PATTERNS for path in sources.root.glob(pattern) if path.is_file()}
    return {path.relative_to(sources.root).as_posix(): path for path in sorted(found)}


def properties(text: str, app: AppSpec) -> str:
    """`gradle.properties` with the job's values. StageCrashed when a value has no line."""
    values = {
        "applicationId": app.application_id,
        "versionCode": str(app.version_code),
        "versionName": app.version_name,
        "abis": ",".join(app.abis),
    }
    for name, value in values.items():
        line = f"autocomplete.{name}=" + escape_property(value)
        text, count = re.subn(rf"(?m)^autocomplete\.{name}=.*$", line.replace("\\", r"\\"), text)
        if count != 1:
            raise StageCrashed(f"android-builder/{PROPERTIES} has no line for autocomplete.{name}; restore it.")
    return text


def escape_property(value: str) -> str:
    """The value as a `.properties` file holds it: Java reads a backslash as the beginning of an escape and the file as
    Latin-1."""
    return "".join(_escape(letter) for letter in value)


def _escape(letter: str) -> str:
    if letter == "\\":
        return r"\\"
    if " " <= letter <= "~":
        return letter
    encoded = letter.encode("utf-16-be")
    return "".join(f"\\u{encoded[at : at + 2].hex()}" for at in range(0, len(encoded), 2))


def _members(sources: AppSources, app: AppSpec, assets: Mapping[str, Path], golden: Path) -> Iterator[Member]:
    made = {
        "README.md": (sources.root / README).read_bytes(),
        PROPERTIES: properties((sources.root / PROPERTIES).read_text(), app).encode(),
        **{f"{JOB_RESOURCES}/{name}": content for name, content in resources.job_resources(app).items()},
        ".gitignore": IGNORED.encode(),
    }
    for name, content in made.items():
        yield Member(f"{FOLDER}/{name}", content, compressed=True)
    for name, path in source_files(sources).items():
        yield Member(f"{FOLDER}/{name}", path, compressed=True, executable=name in PROGRAMS)
    yield Member(f"{FOLDER}/{GOLDEN}", golden, compressed=True)
    for name, path in sorted(assets.items()):
        yield Member(f"{FOLDER}/app/src/main/{name}", path)
