"""Runs bundletool: builds an Android App Bundle, validates it, makes APKs of it, tells their download size."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from farm import locations
from farm.appspec import Abi
from farm.errors import PackageInvalid
from pipeline import process
from pipeline.android.assembly import STORED_ASSETS
from pipeline.binaries import zip_reading
from pipeline.toolchain import tools
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from pipeline.toolchain.tools import Tool

DATA_FILES = ("android-builder/bundler/Bundler.java",)

TIMEOUT = 900.0
# One program that the JVM compiles when it starts: what takes long is starting bundletool, and reading a large bundle.
DRIVER = locations.ANDROID_BUILDER / "bundler" / "Bundler.java"
BASE = "base"
# The sizes' key for all modules together.
ALL = ""
# Bytes that bundletool needs beside the largest entry, which it holds in memory while it makes APKs, at times twice.
HEAP = 384 << 20
JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
# What the farm's own APK stores is not compressed in the APKs made of a bundle either.
CONFIG = {
    "optimizations": {"uncompressNativeLibraries": {"enabled": True, "alignment": "PAGE_ALIGNMENT_16K"}},
    "compression": {"uncompressedGlob": list(STORED_ASSETS)},
}
# A phone of the kind that most people have; the level is one whose resource table every aapt2 can write.
DEVICE = {"supportedLocales": ["en"], "screenDensity": 480, "sdkVersion": 31}


@dataclass(frozen=True)
class Examination:
    """What bundletool makes of a bundle. refused: its reason when it does not accept it; then nothing else is known.
    sizes: compressed bytes that a phone of an ABI downloads, by module, and under `ALL` in all. universal: the one
    APK, unsigned, that holds all modules for all devices."""

    refused: str | None
    sizes: Mapping[Abi, Mapping[str, int]]
    universal: Path | None


@dataclass(frozen=True)
class Bundletool:
    """bundletool of a toolchain. scratch: a folder for what it writes on the way."""

    toolchain: Toolchain
    scratch: Path

    def build(self, modules: Sequence[Path], target: Path) -> None:
        """Make a bundle of module zips named after their modules. PackageInvalid with bundletool's reason."""
        config = self.scratch / "bundle-config.json"
        config.write_text(json.dumps(CONFIG))
        target.unlink(missing_ok=True)
        self._run(largest_entry(modules), "build", config, target, *modules)

    def examine(self, bundle: Path) -> Examination:
        """Validate the bundle, and make of it the APKs of one phone for each ABI and the one for all.

        PackageInvalid when the file is no bundle, or bundletool fails at one that it accepts.
        """
        names, devices = modules(bundle), [self._device(abi) for abi in abis(bundle)]
        said = self._run(
            largest_entry([bundle]), "examine", bundle, tools.find(Tool.AAPT2), self.scratch, ",".join(names), *devices
        )
        answer = read_answer(said)
        if "refused" in answer:
            return Examination(str(answer["refused"]), {}, None)
        with zipfile.ZipFile(self.scratch / "universal.apks") as made:
            universal = Path(made.extract("universal.apk", self.scratch))
        return Examination(None, {Abi(abi): sizes for abi, sizes in answer["sizes"].items()}, universal)

    def _device(self, abi: Abi) -> Path:
        path = self.scratch / f"{abi.value}.json"
        path.write_text(json.dumps({"supportedAbis": [abi.value], **DEVICE}))
        return path

    def _run(self, largest: int, command: str, *arguments: str | Path) -> str:
        classpath = ":".join(map(str, self.toolchain.paths(Role.BUNDLER)))
        return process.run(
            (
                tools.find(Tool.JAVA), *JVM, f"-Xmx{(HEAP + 2 * largest) >> 20}m", f"-Djava.io.tmpdir={self.scratch}",
                "-cp", classpath, DRIVER, command, *arguments,
            ),
            timeout=TIMEOUT, error=PackageInvalid, hint="see the stage's log.",
        ).stdout  # fmt: skip


def modules(bundle: Path) -> tuple[str, ...]:
    """The modules' names; PackageInvalid when the file is no bundle."""
    with zip_reading.opened(bundle, PackageInvalid, f"{bundle.name} is no sound bundle; build it again.") as opened:
        names = opened.namelist()
    found = tuple(name.split("/")[0] for name in names if name.endswith("/manifest/AndroidManifest.xml"))
    if BASE not in found:
        raise PackageInvalid(f"{bundle.name} has no base module, so it is no Android App Bundle; build it again.")
    return found


def largest_entry(archives: Iterable[Path]) -> int:
    """Bytes of the largest file in these archives, uncompressed."""
    sizes = [0]
    for path in archives:
        with zipfile.ZipFile(path) as opened:
            sizes += [entry.file_size for entry in opened.infolist()]
    return max(sizes)


def abis(bundle: Path) -> tuple[Abi, ...]:
    """The ABIs of the farm that the base module has libraries for."""
    with zipfile.ZipFile(bundle) as opened:
        found = {name.split("/")[2] for name in opened.namelist() if name.startswith(f"{BASE}/lib/")}
    return tuple(abi for abi in Abi if abi.value in found)


def read_answer(text: str) -> dict[str, dict[str, dict[str, int]]]:
    """The driver's JSON, which is the last line; PackageInvalid when there is none."""
    try:
        answer: dict[str, dict[str, dict[str, int]]] = json.loads((text.splitlines() or [""])[-1])
    except json.JSONDecodeError as error:
        raise PackageInvalid("bundletool told no download sizes; see the stage's log.") from error
    return answer
