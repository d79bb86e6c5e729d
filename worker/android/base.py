"""The app without a model: the tree that is built once per version of the app and then serves every job."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from farm import locations
from farm.errors import PackageInvalid
from farm.jobspec import Abi
from farm.progress import Reporter
from worker.android import compilation, library, resources
from worker.android.pins import Role
from worker.android.toolchain import Toolchain

# Maven classifiers of the runtime's native jars.
CLASSIFIERS = {Abi.ARM64: "android-arm64", Abi.X86_64: "android-x86_64"}


@dataclass(frozen=True)
class AppSources:
    """Where the app's sources lie below `root`, a folder shaped like `android-builder`."""

    root: Path = locations.ANDROID_BUILDER

    @property
    def library(self) -> Path:
        """The main source set of the library that generates text, which the app uses."""
        return self.root / "generation" / "src" / "main"

    @property
    def library_manifest(self) -> Path:
        """The library's own manifest."""
        return self.library / "AndroidManifest.xml"

    @property
    def main(self) -> Path:
        """The app's main source set."""
        return self.root / "app" / "src" / "main"

    @property
    def rules(self) -> Path:
        """What R8 must keep of the library in every app."""
        return self.root / "generation" / "consumer-rules.pro"

    @property
    def host(self) -> Path:
        """The driver that runs the app's classes on the JVM."""
        return self.root / "host" / "src" / "main" / "kotlin"

    @property
    def screens(self) -> Path:
        """What shows the app's screens on the JVM."""
        return self.root / "screens" / "src" / "main" / "kotlin"

    @property
    def tests(self) -> Path:
        """The tests of the app's screens, which run on the JVM."""
        return self.root / "app" / "src" / "test" / "kotlin"


@dataclass(frozen=True)
class AppBase:
    """The tree `app-base/`."""

    folder: Path

    @property
    def library_jar(self) -> Path:
        """The library's classes, unshrunk."""
        return self.folder / "generation.jar"

    @property
    def library_archive(self) -> Path:
        """The library as other apps use it, without a model."""
        return self.folder / "generation.aar"

    @property
    def app_jar(self) -> Path:
        """The app's own classes, unshrunk, for the JVM."""
        return self.folder / "app.jar"

    @property
    def host_jar(self) -> Path:
        """The JVM driver."""
        return self.folder / "host.jar"

    @property
    def identifiers(self) -> Path:
        """The class of the resources' numbers, which the compiler copied into the app's own."""
        return self.folder / "identifiers.jar"

    @property
    def resources(self) -> Path:
        """The compiled resources."""
        return self.folder / "resources.zip"

    @property
    def ids(self) -> Path:
        """The resources' numbers, which the code was compiled with."""
        return self.folder / "ids.txt"

    @property
    def manifest(self) -> Path:
        """The manifest to link with."""
        return self.folder / "AndroidManifest.xml"

    @property
    def assets(self) -> Path:
        """Assets that do not depend on the model."""
        return self.folder / "assets"

    def asset_files(self) -> dict[str, Path]:
        """Assets that do not depend on the model, by their entry names."""
        files = sorted(path for path in self.assets.rglob("*") if path.is_file())
        return {f"assets/{path.relative_to(self.assets).as_posix()}": path for path in files}

    def dex_files(self) -> tuple[Path, ...]:
        """The shrunk code: classes.dex, classes2.dex ..."""
        return tuple(sorted(self.folder.glob("classes*.dex"), key=lambda path: (len(path.name), path.name)))

    def libraries(self, abi: Abi) -> tuple[Path, ...]:
        """The runtime's shared libraries for an ABI."""
        return tuple(sorted((self.folder / "lib" / abi.value).glob("*.so")))


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
    report(0.15, "compiling the app")
    classpath = (base.library_jar, *classpath)
    compilation.compile_kotlin(toolchain, sources.main / "kotlin", (base.identifiers, *classpath), base.app_jar, "app")
    report(0.25, "compiling the host driver")
    compilation.compile_kotlin(toolchain, sources.host, classpath, base.host_jar, "host")

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
