"""The sandbox that a stage runs in: it sees the programs, its work folder and what it was given, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from farm import locations
from farm.errors import SettingsInvalid
from farm.settings import SandboxMode

PROBE_SECONDS = 10.0

# What programs read of /etc: the loader's cache, certificates, Java's and the fonts' settings, name resolution.
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "fonts", "group", "host.conf", "hosts", "java-*",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "passwd", "pki",
    "resolv.conf", "ssl", "timezone",
)  # fmt: skip
OWN_PROC = ("--proc", "/proc")
GIVEN_PROC = ("--ro-bind", "/proc", "/proc")
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_OWN_PACKAGES = ("farm", "pipeline", "worker", "android-builder")


@dataclass(frozen=True)
class View:
    """What one stage may see. workdir: the only place it may write; readable: further files and folders."""

    workdir: Path
    readable: tuple[Path, ...]
    network: bool


class Sandbox(Protocol):
    """Wraps a stage's command."""

    description: str
    confines: bool

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:
        """The command that runs `command` with this view."""


class Bubblewrap:
    """All namespaces apart, no capabilities, a root folder that is put together from read-only parts.

    own_proc: whether the stage has a /proc of its own. Container engines cover parts of theirs, and the kernel then
    lets nobody mount another; the stage sees the container's instead, read-only. Of other processes it can read there
    what everybody may (their command lines), but, being in a user namespace of its own, neither their memory, nor
    their environment, nor their files.
    """

    confines = True

    def __init__(self, *, own_proc: bool = True) -> None:
        self.description = "bubblewrap" if own_proc else "bubblewrap, with the container's /proc"
        self._proc = OWN_PROC if own_proc else GIVEN_PROC

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:
        """See Sandbox. Everything in it dies with its outermost process, and that with the supervisor."""
        words = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "stage"]
        if view.network:
            words.append("--share-net")
        words += ["--ro-bind", "/usr", "/usr", *self._proc, "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 # its own
        for name in _SYSTEM:
            words += _system_folder(Path(name))
        for path in (*_etc(), *_python(), *view.readable):
            words += ["--ro-bind-try", str(path), str(path)]
        workdir = str(view.workdir)
        words += ["--bind", workdir, workdir]
        for name in ("inputs", "request.json"):
            words += ["--ro-bind", f"{workdir}/{name}", f"{workdir}/{name}"]
        return (*words, "--chdir", workdir, "--", *command)


class Unconfined:
    """No sandbox: stages run as ordinary processes."""

    confines = False

    def __init__(self, reason: str) -> None:
        self.description = f"none ({reason})"

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:  # noqa: ARG002 # nothing to hide
        """The command itself."""
        return command


def choose(mode: SandboxMode) -> Sandbox:
    """The sandbox for this machine; SettingsInvalid when one is required and does not work."""
    if mode is SandboxMode.OFF:
        return Unconfined("switched off by FARM_SANDBOX")
    found = find()
    if isinstance(found, Bubblewrap):
        return found
    if mode is SandboxMode.REQUIRED:
        raise SettingsInvalid(f"FARM_SANDBOX=required, but {found}; install bubblewrap or set FARM_SANDBOX=auto.")
    return Unconfined(found)


def find() -> Bubblewrap | str:
    """The sandbox that works here, or why none does."""
    fault = probe()
    if fault is None:
        return Bubblewrap()
    return fault if probe(own_proc=False) else Bubblewrap(own_proc=False)


def probe(*, own_proc: bool = True) -> str | None:
    """Why the sandbox does not work here; None when it does. own_proc: see Bubblewrap."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    words = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/"]
    words += [*(OWN_PROC if own_proc else GIVEN_PROC), "--", "true"]
    try:
        tried = subprocess.run(words, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "bubblewrap hangs"
    if tried.returncode != 0:
        return f"bubblewrap fails: {tried.stderr.decode(errors='replace').strip()[:200]}"
    return None


def _system_folder(path: Path) -> list[str]:
    """A link as a link, a folder as a folder: distributions differ."""
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind-try", str(path), str(path)]


def _etc() -> list[Path]:
    return [path for pattern in _ETC for path in sorted(Path("/etc").glob(pattern))]


def _python() -> list[Path]:
    """The interpreter, its packages, and the farm's own."""
    own = [locations.ROOT / name for name in _OWN_PACKAGES]
    return [Path(sys.base_prefix), Path(sys.prefix), *own]
