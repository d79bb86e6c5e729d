"""The app without a model: the tree that is built once per version of the app and then serves every job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farm import locations
from farm.appspec import Abi

# Only names of folders: whoever reads a file in them declares it.
DATA_FILES: tuple[str, ...] = ()


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
