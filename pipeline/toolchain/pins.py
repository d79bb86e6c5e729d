"""What the Android half is built with, as data: `android-builder/artifacts.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from farm import locations
from farm.errors import SettingsInvalid

# Of the table, which names every artifact, only the roles that a stage asks for decide its result.
DATA_FILES: tuple[str, ...] = ()

TABLE = locations.ANDROID_BUILDER / "artifacts.toml"


class Role(StrEnum):
    """What a Maven artifact is for."""

    COMPILER = "compiler"
    LIBRARY = "library"
    SHRINKER = "shrinker"
    PLATFORM = "platform"
    NATIVE = "native"
    HOST_NATIVE = "host-native"
    ARM_NATIVE = "arm-native"
    BUNDLER = "bundler"
    SPECIMEN = "specimen"
    TEST = "test"
    TEST_PLATFORM = "test-platform"
    FLEX_RUNTIME = "flex-runtime"
    FLEX_API = "flex-api"
    DEVICE_TEST = "device-test"
    STYLE = "style"


@dataclass(frozen=True)
class MavenArtifact:
    """One file of a Maven repository, pinned by its SHA-256."""

    group: str
    name: str
    version: str
    extension: str
    classifier: str | None
    role: Role
    sha256: str

    @property
    def coordinates(self) -> str:
        """`group:name:version`, with `:extension` where it is no jar and `:extension:classifier` for a classifier."""
        base = f"{self.group}:{self.name}:{self.version}"
        if self.classifier is not None:
            return f"{base}:{self.extension}:{self.classifier}"
        return base if self.extension == "jar" else f"{base}:{self.extension}"

    @property
    def file_name(self) -> str:
        """The file's name in the toolchain folder, the same as in a Maven repository."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{tail}.{self.extension}"


@dataclass(frozen=True)
class AndroidTarget:
    """What the app is built for. namespace: package of the app's classes. page_size: bytes that libraries align to."""

    namespace: str
    min_sdk: int
    target_sdk: int
    page_size: int
    jvm_target: str


@dataclass(frozen=True)
class GradleBuild:
    """What Android Studio builds the same sources with. android_plugin: the version of Android's Gradle plugin. Hashes:
    SHA-256 in hex of Gradle's distribution and of the wrapper that fetches it."""

    version: str
    distribution_sha256: str
    wrapper_sha256: str
    android_plugin: str


@dataclass(frozen=True)
class Pins:
    """The whole table. plugin: coordinates of the Maven plugin that fetches; plugin_files: SHA-256 of the jars that it
    consists of, by `group:name:version`. second_repository: a URL."""

    target: AndroidTarget
    gradle: GradleBuild
    plugin: str
    plugin_files: Mapping[str, str]
    second_repository: str
    artifacts: tuple[MavenArtifact, ...]

    def with_role(self, role: Role) -> tuple[MavenArtifact, ...]:
        """All artifacts of that role, in the table's order."""
        return tuple(artifact for artifact in self.artifacts if artifact.role is role)


def load(table: Path = TABLE) -> Pins:
    """Read the table; SettingsInvalid names what is wrong in it."""
    try:
        data = tomllib.loads(table.read_text())
        return Pins(
            target=AndroidTarget(**data["android"]),
            gradle=GradleBuild(**data["gradle"]),
            plugin=data["maven"]["plugin"],
            plugin_files=_plugin_files(**data["maven"]["plugin_files"]),
            second_repository=data["maven"]["second_repository"],
            artifacts=tuple(_artifact(**entry) for entry in data["artifact"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsInvalid(
            f"The table {table} is refused: {error}; restore it from the farm's repository."
        ) from error


def _plugin_files(**files: str) -> Mapping[str, str]:
    """The table; ValueError for a file without a hash."""
    for coordinates, sha256 in files.items():
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"{coordinates} has no SHA-256")
    return files


def _artifact(coordinates: str, role: str, sha256: str) -> MavenArtifact:
    """One entry; ValueError when it is incomplete."""
    parts = coordinates.split(":")
    if not 3 <= len(parts) <= 5 or not all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for part in parts):
        raise ValueError(f"{coordinates!r} is not group:artifact:version[:extension[:classifier]]")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{coordinates} has no SHA-256")
    extension = parts[3] if len(parts) > 3 else "jar"
    classifier = parts[4] if len(parts) > 4 else None
    return MavenArtifact(parts[0], parts[1], parts[2], extension, classifier, Role(role), sha256)
