"""The app of the I/O mode `strings` without a model: its own sources, the library's filter, and the AAR's
interpreter."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from farm import locations
from farm.appspec import Abi
from farm.errors import AarUnusable
from farm.progress import Reporter
from pipeline.android import compilation, resources
from pipeline.android.base import AppBase, AppSources
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

DATA_FILES = (
    "android-builder/generation/src/main/**/*", "android-builder/strings/src/main/**/*",
    "android-builder/strings/proguard-rules.pro",
)  # fmt: skip

SOURCES = locations.ANDROID_BUILDER / "strings"
RULES = "proguard.txt"
LICENCE = "LICENSE"
# Where the app's assets have the licences of its AARs.
LICENCES = "licences"
# The group of Maven artifacts that the other I/O modes run their models with.
OTHER_RUNTIME = "org.bytedeco"


@dataclass(frozen=True)
class Aar:
    """An Android library: classes, rules for the shrinker, native libraries."""

    path: Path

    def classes(self, folder: Path) -> Path:
        """Its classes as a jar in the folder; AarUnusable when it has none."""
        return self._extract("classes.jar", folder / f"{self.path.stem}.jar")

    def rules(self, folder: Path) -> Path | None:
        """What the shrinker must keep of it, as a file in the folder."""
        return self._extract_if_there(RULES, folder / f"{self.path.stem}.pro")

    def licence(self, folder: Path) -> Path | None:
        """The licence that it brings, as a file in the folder."""
        return self._extract_if_there(LICENCE, folder / f"{self.path.stem}.txt")

    def extract_libraries(self, abi: Abi, target: Path) -> None:
        """Copy its native libraries for an ABI into the folder `target`, but for those that are already there."""
        target.mkdir(parents=True, exist_ok=True)
        prefix = f"jni/{abi.value}/"
        with zipfile.ZipFile(self.path) as archive:
            for name in archive.namelist():
                rest = name.removeprefix(prefix)
                if (
                    name.startswith(prefix)
                    and rest.endswith(".so")
                    and "/" not in rest
                    and not (target / rest).exists()
                ):
                    with archive.open(name) as source, (target / rest).open("wb") as copy:
                        shutil.copyfileobj(source, copy, 1 << 20)

    def _extract_if_there(self, name: str, target: Path) -> Path | None:
        with zipfile.ZipFile(self.path) as archive:
            if name not in archive.namelist():
                return None
        return self._extract(name, target)

    def _extract(self, name: str, target: Path) -> Path:
        try:
            with zipfile.ZipFile(self.path) as archive:
                target.write_bytes(archive.read(name))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise AarUnusable(f"{self.path.name} has no {name}; give an AAR as the Android build makes it.") from error
        return target


def build(
    aars: Sequence[Path], toolchain: Toolchain, target: Path, scratch: Path, report: Reporter, sources: Path = SOURCES
) -> AppBase:
    """Compile, shrink and lay out the app below `target`; aars: Flex and interpreter, earlier ones go first.

    AarUnusable when an AAR can't be used, StageCrashed when the sources don't compile against it.
    """
    base, android = AppBase(target), toolchain.pins.target
    platform, libraries = toolchain.paths(Role.PLATFORM), toolchain.paths(Role.LIBRARY)
    main, library = sources / "src" / "main", AppSources().library
    generated, unpacked = scratch / "generated", scratch / "aars"
    for folder in (unpacked, target):
        folder.mkdir(parents=True, exist_ok=True)

    report(0.0, "compiling the app's resources")
    resources.prepare_manifest(main / "AndroidManifest.xml", base.manifest, android.namespace)
    resources.compile_resources(main / "res", base.resources)
    resources.generate_sources(base.manifest, base.resources, platform[0], generated, android)
    shutil.copyfile(generated / "ids.txt", base.ids)
    compilation.compile_java(toolchain, generated / "java", base.identifiers)

    report(0.1, "compiling the library and the app")
    given = [Aar(path) for path in (*aars, *toolchain.paths(Role.FLEX_API))]
    runtime = [aar.classes(unpacked) for aar in given]
    classpath = (*platform, *libraries)
    compilation.compile_kotlin(toolchain, library / "kotlin", classpath, base.library_jar, "generation")
    classpath = (base.library_jar, base.identifiers, *runtime, *classpath)
    compilation.compile_kotlin(toolchain, main / "kotlin", classpath, base.app_jar, "app")

    report(0.5, "shrinking the app's code")
    rules = [rule for aar in given if (rule := aar.rules(unpacked)) is not None]
    # Without the other I/O modes' runtime, and without the library's rules, which keep it.
    needed = [toolchain.path(one) for one in toolchain.pins.with_role(Role.LIBRARY) if one.group != OTHER_RUNTIME]
    jars = (base.library_jar, base.app_jar, base.identifiers, *runtime, *needed)
    kept = (*rules, sources / "proguard-rules.pro", generated / "keep.pro")
    for dex in compilation.shrink(toolchain, jars, kept, scratch / "dex"):
        shutil.copyfile(dex, target / dex.name)

    report(0.9, "adding the AAR's libraries")
    for abi in Abi:
        for aar in given:
            aar.extract_libraries(abi, target / "lib" / abi.value)
    shutil.copytree(library / "assets", base.assets)
    licences = base.assets / LICENCES
    licences.mkdir()
    for aar in given:
        aar.licence(licences)
    return base
