"""Control groups: the memory, the processes and the processor time of a stage, counted together and limited by the
kernel.

Files in memory and shared memory count too, which adding up processes misses. Version 2 and version 1 of the kernel's
interface are spoken; where neither lets this process make a group, there is none. Processor time is limited where the
kernel lets this process do so; nothing depends on it.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
PROCESSES = 4096
PREFIX = "farm-stage-"
_REMOVE_SECONDS = 2.0
# Of version 1, what the stages need; each has a tree of its own.
_KINDS = ("memory", "pids")
_WISHED = "cpu"
# How long a group's share of processor time is counted, in microseconds, and its weight against 100 (version 2) or 1024
# (version 1): a stage that takes all it can keeps its worker from nothing.
_PERIOD = 100_000
_WEIGHT = {2: ("cpu.weight", "50"), 1: ("cpu.shares", "512")}


@dataclass(frozen=True)
class ControlGroup:
    """One stage's group: a folder in version 2, one a kind in version 1; none for what is not limited."""

    folders: dict[str, Path]

    @property
    def entrances(self) -> tuple[Path, ...]:
        """The files to which a process writes its number to join."""
        return tuple(folder / "cgroup.procs" for folder in dict.fromkeys(self.folders.values()))

    def memory_kills(self) -> int:
        """How many of its processes the kernel has ended because the group's memory was full."""
        folder = self.folders["memory"]
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (folder / name).read_text().splitlines():
                    key, _, value = line.partition(" ")
                    if key == "oom_kill":
                        return int(value)
        return 0

    def _kill_members(self) -> None:
        """End what a stage has left behind: its own process has ended, and nothing may outlive it."""
        for folder in dict.fromkeys(self.folders.values()):
            with suppress(OSError):
                for member in (folder / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(member), signal.SIGKILL)

    def remove(self) -> None:
        """Remove the group once its processes have ended; the kernel may take a moment to see that."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        self._kill_members()
        for folder in dict.fromkeys(self.folders.values()):
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.005)
                else:
                    break


class ControlGroups:
    """Where this process may make groups. parents: by kind, the folder below which they are made."""

    def __init__(self, parents: dict[str, Path], *, version: int) -> None:
        self._parents = parents
        self.version = version

    def make(self, memory: int, processors: int) -> ControlGroup | None:
        """A new group with that many bytes and processors; None where the kernel refuses it after all."""
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        folders = {kind: parent / name for kind, parent in self._parents.items()}
        try:
            for folder in dict.fromkeys(folders.values()):
                folder.mkdir()
            self._limit(folders, memory)
            if _WISHED in folders:
                self._limit_time(folders[_WISHED], processors)
        except OSError:
            ControlGroup(folders).remove()
            return None
        return ControlGroup(folders)

    def remove_abandoned(self) -> int:
        """Remove the empty groups of processes that are gone; returns how many."""
        count = 0
        for parent in dict.fromkeys(self._parents.values()):
            for folder in parent.glob(f"{PREFIX}*"):
                if not Path("/proc", folder.name.removeprefix(PREFIX).partition("-")[0]).exists():
                    with suppress(OSError):
                        folder.rmdir()
                        count += 1
        return count

    def _limit(self, folders: dict[str, Path], memory: int) -> None:
        (folders["pids"] / "pids.max").write_text(str(PROCESSES))
        folder = folders["memory"]
        if self.version == 1:
            (folder / "memory.limit_in_bytes").write_text(str(memory))
            # Not every kernel counts swap.
            with suppress(OSError):
                (folder / "memory.memsw.limit_in_bytes").write_text(str(memory))
            return
        (folder / "memory.max").write_text(str(memory))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with suppress(OSError):
                (folder / name).write_text(value)

    def _limit_time(self, folder: Path, processors: int) -> None:
        quota = str(processors * _PERIOD)
        ways = {2: {"cpu.max": f"{quota} {_PERIOD}"}, 1: {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota}}
        weight, value = _WEIGHT[self.version]
        for name, content in {**ways[self.version], weight: value}.items():
            # Without the kernel's bandwidth control there is the weight alone.
            with suppress(OSError):
                (folder / name).write_text(content)


def find(mount: Path = MOUNT, own: Path = Path("/proc/self/cgroup")) -> ControlGroups | None:
    """Where this process may make groups; None when nowhere. A group is made to see, and removed."""
    try:
        listing = own.read_text()
    except OSError:
        return None
    for groups in (_version_2(mount, listing), _version_1(mount, listing)):
        made = groups.make(1 << 30, 1) if groups is not None else None
        if made is not None:
            made.remove()
            return groups
    return None


def _version_2(mount: Path, listing: str) -> ControlGroups | None:
    path = next((line[3:] for line in listing.splitlines() if line.startswith("0::")), None)
    if path is None or not (mount / "cgroup.controllers").exists():
        return None
    parent = mount / path.lstrip("/")
    try:
        available = set((parent / "cgroup.controllers").read_text().split())
        if not set(_KINDS) <= available:
            return None
        _let_children_limit(parent, _KINDS)
    except OSError:
        return None
    kinds: tuple[str, ...] = _KINDS
    if _WISHED in available:
        with suppress(OSError):
            _let_children_limit(parent, (_WISHED,))
            kinds += (_WISHED,)
    return ControlGroups(dict.fromkeys(kinds, parent), version=2)


def _let_children_limit(parent: Path, kinds: tuple[str, ...]) -> None:
    """Children of a group are limited only where it has no process itself: this one, if alone, moves below."""
    control = parent / "cgroup.subtree_control"
    if set(kinds) <= set(control.read_text().split()):
        return
    if (parent / "cgroup.procs").read_text().split() == [str(os.getpid())]:
        worker = parent / "farm-worker"
        worker.mkdir(exist_ok=True)
        (worker / "cgroup.procs").write_text(str(os.getpid()))
    control.write_text(" ".join(f"+{kind}" for kind in kinds))


def _version_1(mount: Path, listing: str) -> ControlGroups | None:
    paths: dict[str, str] = {}
    for line in listing.splitlines():
        _, kinds, path = line.split(":", 2)
        paths |= dict.fromkeys(kinds.split(","), path)
    parents: dict[str, Path] = {}
    for kind in (*_KINDS, _WISHED):
        parent = mount / kind / paths.get(kind, "").lstrip("/")
        # In a container the path is often the host's, which its own mount does not have.
        parent = parent if parent.is_dir() else mount / kind
        if kind in paths and parent.is_dir() and (kind in _KINDS or os.access(parent, os.W_OK)):
            parents[kind] = parent
    return ControlGroups(parents, version=1) if set(_KINDS) <= set(parents) else None
