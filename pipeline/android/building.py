"""Builds the app without a model: compiles, shrinks and lays out what `base` describes."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from farm.appspec import Abi
from farm.errors import PackageInvalid
from farm.progress import Reporter
from pipeline.android import compilation, library, resources
from pipeline.android.base import AppBase, AppSources
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role

DATA_FILES = (
    "android-builder/generation/src/main/**/*", "android-builder/generation/consumer-rules.pro",
    "android-builder/app/src/main/**/*", "android-builder/host/src/main/kotlin/**/*",
)  # fmt: skip

# Maven classifiers of the runtime's native jars.
CLASSIFIERS = {Abi.ARM64: "android-arm64", Abi.X86_64: "android-x86_64"}


def build(sources: AppSources, toolchain: Toolchain, target: Path, scratch: Path, report: Reporter) -> AppBase:
    """Compile, shrink and lay out the app below `target`. The same sources and toolchain give the same bytes."""
    base = AppBase(target)
    android = toolchain.pins.target
    platform = toolchain.paths(Role.PLATFORM)
    libraries = toolchain.paths(Role.LIBRARY)
    scratch.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)

    report(0.0, "compiling the app's resources")
    resources.prepare_manifest(sources.main / "AndroidManifest.xml", base.manifest, android.namespace)
    resources.compile_resources(sources.main / "res", base.resources)
    generated = scratch / "generated"
    resources.generate_sources(base.manifest, base.resources, platform[0], generated, android)
    shutil.copyfile(generated / "ids.txt", base.ids)
    compilation.compile_java(toolchain, generated / "java", base.identifiers)

    report(0.05, "compiling the library")
    classpath = (*platform, *libraries)
    compilation.compile_kotlin(toolchain, sources.library / "kotlin", classpath, base.library_jar, "generation")
    report(0.15, "compiling the app and the host driver")
    classpath = (base.library_jar, *classpath)
    # Both need the library and nothing of each other; the compiler uses little more than one core.
    with ThreadPoolExecutor(1) as pool:
        driver = pool.submit(
            compilation.compile_kotlin, toolchain, sources.host, classpath, base.host_jar, "host", (base.library_jar,)
        )
        compilation.compile_kotlin(
            toolchain, sources.main / "kotlin", (base.identifiers, *classpath), base.app_jar, "app"
        )
        driver.result()

    report(0.3, "shrinking the app's code")
    jars = (base.library_jar, base.app_jar, base.identifiers, *libraries)
    for dex in compilation.shrink(toolchain, jars, (sources.rules, generated / "keep.pro"), scratch / "dex"):
        shutil.copyfile(dex, target / dex.name)

    report(0.95, "adding the runtime's libraries")
    for abi in Abi:
        _add_libraries(toolchain, abi, target / "lib" / abi.value)
    for assets in (sources.library / "assets", sources.main / "assets"):
        shutil.copytree(assets, base.assets, dirs_exist_ok=True)
    library.write(base, sources, toolchain, base.library_archive)
    return base


def _add_libraries(toolchain: Toolchain, abi: Abi, folder: Path) -> None:
    jars = [one for one in toolchain.pins.with_role(Role.NATIVE) if one.classifier == CLASSIFIERS[abi]]
    for jar in jars:
        if not compilation.extract_libraries(toolchain.path(jar), abi.value, folder):
            raise PackageInvalid(f"{jar.file_name} has no library for {abi.value}; correct artifacts.toml.")
