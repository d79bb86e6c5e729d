"""Runs bundletool: builds an Android App Bundle, validates it, makes APKs of it, tells their download size."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from farm.errors import PackageInvalid
from farm.jobspec import Abi
from worker import process
from worker.android import tools
from worker.android.assembly import MODEL_ASSET
from worker.android.compilation import JVM
from worker.android.pins import Role
from worker.android.toolchain import Toolchain
from worker.android.tools import Tool

TIMEOUT = 900.0
MAIN_CLASS = "com.android.tools.build.bundletool.BundleToolMain"
BASE = "base"
# Libraries and the model are mapped where they lie, so neither is compressed in the APKs made of a bundle.
CONFIG = {
    "optimizations": {"uncompressNativeLibraries": {"enabled": True, "alignment": "PAGE_ALIGNMENT_16K"}},
    "compression": {"uncompressedGlob": [MODEL_ASSET]},
}
# A phone of the kind that most people have; the level is one whose resource table every aapt2 can write.
DEVICE = {"supportedLocales": ["en"], "screenDensity": 480, "sdkVersion": 31}


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
        self._run(
            "build-bundle", f"--modules={','.join(map(str, modules))}", f"--output={target}", f"--config={config}"
        )

    def validate(self, bundle: Path) -> None:
        """PackageInvalid, with bundletool's reason, when it refuses the bundle."""
        self._run("validate", f"--bundle={bundle}")

    def universal_apk(self, bundle: Path) -> Path:
        """The one APK, unsigned, that holds all modules for all devices."""
        archive = self.scratch / "universal.apks"
        self._run(
            "build-apks", "--mode=universal", f"--bundle={bundle}", f"--output={archive}", "--overwrite",
            f"--aapt2={tools.find(Tool.AAPT2)}",
        )  # fmt: skip
        with zipfile.ZipFile(archive) as made:
            return Path(made.extract("universal.apk", self.scratch))

    def download_size(self, bundle: Path, abi: Abi, module: str | None = None) -> int:
        """Compressed bytes that a phone of that ABI downloads: for the whole app or for one module."""
        device, archive = self.scratch / f"{abi}.json", self.scratch / f"{abi}.apks"
        device.write_text(json.dumps({"supportedAbis": [abi.value], **DEVICE}))
        if not archive.exists():
            self._run(
                "build-apks", f"--bundle={bundle}", f"--output={archive}", f"--device-spec={device}",
                f"--aapt2={tools.find(Tool.AAPT2)}",
            )  # fmt: skip
        chosen = [] if module is None else [f"--modules={module}"]
        said = self._run("get-size", "total", f"--apks={archive}", f"--device-spec={device}", *chosen)
        return parse_size(said)

    def _run(self, command: str, *arguments: str) -> str:
        classpath = ":".join(map(str, self.toolchain.paths(Role.BUNDLER)))
        # Its home would otherwise be searched for a debug key to sign with.
        environment = {**os.environ, "HOME": str(self.scratch)}
        return process.run(
            (
                tools.find(Tool.JAVA), *JVM, f"-Duser.home={self.scratch}", f"-Djava.io.tmpdir={self.scratch}",
                "-cp", classpath, MAIN_CLASS, command,
                *arguments,
            ),
            timeout=TIMEOUT, error=PackageInvalid, hint="see the stage's log.", env=environment,
        ).stdout  # fmt: skip


def modules(bundle: Path) -> tuple[str, ...]:
    """The modules' names; PackageInvalid when the file is no bundle."""
    try:
        with zipfile.ZipFile(bundle) as opened:
            names = opened.namelist()
    except zipfile.BadZipFile as error:
        raise PackageInvalid(f"{bundle.name} is no sound bundle ({error}); build it again.") from error
    found = tuple(name.split("/")[0] for name in names if name.endswith("/manifest/AndroidManifest.xml"))
    if BASE not in found:
        raise PackageInvalid(f"{bundle.name} has no base module, so it is no Android App Bundle; build it again.")
    return found


def abis(bundle: Path) -> tuple[Abi, ...]:
    """The ABIs of the farm that the base module has libraries for."""
    with zipfile.ZipFile(bundle) as opened:
        found = {name.split("/")[2] for name in opened.namelist() if name.startswith(f"{BASE}/lib/")}
    return tuple(abi for abi in Abi if abi.value in found)


def parse_size(text: str) -> int:
    """The larger number of what `get-size total` printed; PackageInvalid when there is none."""
    lines = text.split()
    if len(lines) < 2 or lines[0] != "MIN,MAX" or not lines[1].replace(",", "").isdigit():
        raise PackageInvalid("bundletool told no download size; see the stage's log.")
    return int(lines[1].split(",")[1])
