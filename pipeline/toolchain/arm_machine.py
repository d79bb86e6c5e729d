"""The processors of phones on this machine: qemu's user-mode emulation and a Java of Debian for arm64.

`python -m pipeline.toolchain.arm_machine` fetches them: Debian's own packages, downloaded and checked against Debian's
signatures by apt with lists of its own, and extracted into the toolchain. Nothing is installed, and what dpkg knows of
this machine stays as it is. On a machine with an arm64 processor its own Java is used, and nothing is fetched.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farm import settings
from farm.errors import FarmError, ToolMissing
from pipeline import process
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

FOLDER = "arm64"
# Beside the files: the packages and their versions, written last.
PACKAGES = "packages.json"
EMULATOR = "qemu-user-static"
JAVA = "openjdk-17-jre-headless"
FOREIGN = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g", JAVA)
TIMEOUT = 900.0
HINT = "see that apt reaches a mirror of Debian that has arm64, or set FARM_ARM_SECONDS=0 to do without."
# A runtime asks the system which processors there are before it chooses kernels, and gives up where nobody tells it.
# The emulator looks for every file below `root` first, and a stage's sandbox has none of the system's.
PROCESSORS = "sys/devices/system/cpu"
PROCESSOR_LISTS = {"possible": "0-3\n", "present": "0-3\n", "online": "0-3\n"}
# What of the packages nobody runs.
UNUSED = ("usr/share", "var")


@dataclass(frozen=True)
class Cpu:
    """A kind of processor, whose instructions decide which kernels a runtime chooses. model: as qemu names it."""

    model: str
    title: str


CPUS = (
    Cpu("cortex-a53", "ARMv8.0"),
    Cpu("cortex-a76", "ARMv8.2 with dot products"),
    Cpu("max", "the newest that qemu has, with matrix products"),
)
NATIVE = Cpu("native", "this machine's own")


@dataclass(frozen=True)
class ArmMachine:
    """What runs a Java program on a phone's processor. root: the extracted packages, None on an arm64 machine.
    versions: of the packages, by name."""

    root: Path | None
    versions: dict[str, str]

    @property
    def cpus(self) -> tuple[Cpu, ...]:
        """The processors to choose from."""
        return CPUS if self.root is not None else (NATIVE,)

    def java(self, cpu: Cpu) -> tuple[str | Path, ...]:
        """The command line that stands for `java` there."""
        if self.root is None:
            return (tools.find(Tool.JAVA),)
        java = _java(self.root)
        return (self.root / "usr/bin/qemu-aarch64-static", "-cpu", cpu.model, "-L", self.root, java)


def find(toolchain: Path) -> ArmMachine | None:
    """The one of this toolchain; None when it was not fetched."""
    if _is_arm():
        return ArmMachine(None, {})
    root = toolchain / FOLDER
    try:
        versions = json.loads((root / PACKAGES).read_text())
    except (OSError, ValueError):
        return None
    whole = _java(root).is_file() and (root / PROCESSORS).is_dir()
    return ArmMachine(root, versions) if whole else None


def fetch(toolchain: Path, say: Callable[[str], None]) -> bool:
    """Fetch it unless it is there; whether that was needed. ToolMissing when apt can't."""
    if find(toolchain) is not None:
        return False
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ToolMissing(f"The arm64 programs come from Debian's packages, and there is no {program}; {HINT}")
    say("Fetching a Java for arm64 and an emulator (110 MB) from Debian")
    toolchain.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=toolchain, prefix=".arm64-") as scratch:
        root = Path(scratch, "root")
        versions = _extract(_download(Path(scratch)), root)
        for folder in UNUSED:
            shutil.rmtree(root / folder, ignore_errors=True)
        for other in (root / "usr/bin").iterdir():
            if other.name != "qemu-aarch64-static":
                other.unlink()
        settle_links(root)
        (root / PROCESSORS).mkdir(parents=True)
        for name, text in PROCESSOR_LISTS.items():
            (root / PROCESSORS / name).write_text(text)
        (root / PACKAGES).write_text(json.dumps(versions, sort_keys=True))
        shutil.rmtree(toolchain / FOLDER, ignore_errors=True)
        root.rename(toolchain / FOLDER)
    return True


def settle_links(root: Path) -> None:
    """Let links that name files of the machine on which a package would be installed name those below `root`."""
    for path in root.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            path.symlink_to(os.path.relpath(root / target.relative_to("/"), path.parent))


def _download(scratch: Path) -> Path:
    """The packages as files of one folder."""
    folder, lists = scratch / "packages", scratch / "apt"
    for each in (folder, lists / "lists/partial", lists / "cache/archives/partial"):
        each.mkdir(parents=True)
    (lists / "status").touch()
    here = _debian_architecture()
    options = (
        "-o", f"APT::Architecture={here}", "-o", f"APT::Architectures={here},arm64", "-o", f"Dir::State={lists}",
        "-o", f"Dir::State::lists={lists / 'lists'}", "-o", f"Dir::State::status={lists / 'status'}",
        "-o", f"Dir::Cache={lists / 'cache'}", "-o", "APT::Sandbox::User=root",
    )  # fmt: skip
    for action in (("update",), ("download", EMULATOR, *(f"{package}:arm64" for package in FOREIGN))):
        process.run(("apt-get", "-qq", *options, *action), timeout=TIMEOUT, error=ToolMissing, hint=HINT, cwd=folder)
    return folder


def _extract(folder: Path, root: Path) -> dict[str, str]:
    """Their content below `root`; their versions."""
    versions = {}
    for package in sorted(folder.glob("*.deb")):
        process.run(("dpkg-deb", "-x", package, root), timeout=TIMEOUT, error=ToolMissing, hint=HINT)
        fields = process.run(
            ("dpkg-deb", "--showformat", "${Package} ${Version}", "-W", package),
            timeout=TIMEOUT, error=ToolMissing, hint=HINT,
        )  # fmt: skip
        name, _, version = fields.stdout.strip().partition(" ")
        versions[name] = version
    if set(versions) != {EMULATOR, *FOREIGN}:
        raise ToolMissing(f"apt brought {', '.join(versions) or 'no package'} for arm64; {HINT}")
    return versions


def _java(root: Path) -> Path:
    return root / "usr/lib/jvm/java-17-openjdk-arm64/bin/java"


def _is_arm() -> bool:
    return platform.machine() in ("aarch64", "arm64")


def _debian_architecture() -> str:
    return {"x86_64": "amd64"}.get(platform.machine(), platform.machine())


def main() -> int:
    """Fetch it into the toolchain of this machine's settings; the exit code is the error's, or 0."""
    try:
        fetch(settings.load().toolchain, _say)
    except FarmError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_code
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
