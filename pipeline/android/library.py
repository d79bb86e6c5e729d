"""Puts the Android library together: `generation.aar`, the engine and the tokenizers without the interface.

It works as a single file: the runtime's classes (`libs/`) and native libraries (`jni/`) are in it, since an AAR that an
app takes as a file has no POM by which Gradle could find them. Kotlin's standard library alone comes from the app.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from farm.appspec import Abi
from pipeline.android import archive, resources
from pipeline.android.archive import Member
from pipeline.android.base import AppBase, AppSources
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

NAMESPACE = "dev.kerasfarm.generation"
METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
# Every Gradle plugin of the last years takes it.
METADATA_LINES = "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=26\nminAndroidGradlePluginVersion=7.0.0\n"


def write(base: AppBase, sources: AppSources, toolchain: Toolchain, target: Path) -> None:
    """Write the library without a model, from the parts of the app's base."""
    archive.write(target, _members(base, sources, toolchain))


def with_model(library: Path, assets: Mapping[str, Path], target: Path) -> None:
    """Copy the library and put files into it, by entry name, uncompressed."""
    shutil.copyfile(library, target)
    archive.append(target, (Member(name, path) for name, path in sorted(assets.items())))


def runtime_jars(toolchain: Toolchain) -> tuple[Path, ...]:
    """The runtime's classes: of what is packed into the app, that which has native libraries beside it."""
    native = {(one.group, one.name) for one in toolchain.pins.with_role(Role.NATIVE)}
    packed = toolchain.pins.with_role(Role.LIBRARY)
    return tuple(toolchain.path(one) for one in packed if (one.group, one.name) in native)


def _members(base: AppBase, sources: AppSources, toolchain: Toolchain) -> Iterator[Member]:
    manifest = resources.library_manifest(sources.library_manifest, NAMESPACE, toolchain.pins.target.min_sdk)
    yield Member("AndroidManifest.xml", manifest)
    yield Member(METADATA, METADATA_LINES.encode())
    # It has no resources, but every library has this list of them.
    yield Member("R.txt", b"")
    yield Member("classes.jar", base.library_jar, compressed=True)
    yield Member("proguard.txt", sources.rules)
    for name, path in base.asset_files().items():
        yield Member(name, path, compressed=True)
    for jar in runtime_jars(toolchain):
        yield Member(f"libs/{jar.name}", jar)
    for abi in Abi:
        for native in base.libraries(abi):
            yield Member(f"jni/{abi.value}/{native.name}", native, compressed=True)
