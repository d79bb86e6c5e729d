"""A stage's processes, all of them: its descendants, and those that left its process group or lost their parent.

Every process of a stage carries a mark in its environment, which a child inherits whatever it does with sessions and
parents; so a double-forked grandchild is found, and so are the orphans of a worker that was killed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK_VARIABLE = "FARM_STAGE_MARK"
_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    zombie: bool


def members(mark: str, root: int | None = None) -> list[int]:
    """The living processes whose mark begins with `mark`, the process `root`, and all their descendants."""
    processes = _processes()
    found = {process.pid for process in processes if process.pid == root or _has_mark(process.pid, mark)}
    while children := {process.pid for process in processes if process.parent in found} - found:
        found |= children
    return sorted(process.pid for process in processes if process.pid in found and not process.zombie)


def memory(pids: list[int]) -> int:
    """Bytes of memory that these processes use together; what they share counts once (the proportional set size)."""
    return sum(_memory_of(pid) for pid in pids)


def terminate(mark: str, root: int, *, spare_root: bool) -> None:
    """Ask all to end with SIGTERM. spare_root: a sandbox's outermost process would take the others down at once."""
    for pid in members(mark, root):
        if not (spare_root and pid == root):
            _signal(pid, signal.SIGTERM)


def kill(mark: str, root: int | None = None, *, seconds: float = 10.0) -> int:
    """SIGKILL all, again and again until none is left, for at most so long; returns how many were left."""
    deadline = time.monotonic() + seconds
    while left := members(mark, root):
        for pid in left:
            _signal(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return len(left)
        time.sleep(_POLL_SECONDS)
    return 0


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> list[_Process]:
    found = []
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in parentheses may hold anything, so the fields are counted from its end; see proc(5).
            fields = (_PROC / entry.name / "stat").read_bytes().rpartition(b")")[2].split()
            found.append(_Process(int(entry.name), int(fields[1]), fields[0] in (b"Z", b"X")))
    return found


def _has_mark(pid: int, mark: str) -> bool:
    """Also False for other users' processes, which cannot be a stage's."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        variables = b"\0" + (_PROC / str(pid) / "environ").read_bytes()
        return f"\0{MARK_VARIABLE}={mark}".encode() in variables
    return False


def _memory_of(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        try:
            for line in (_PROC / str(pid) / "smaps_rollup").read_bytes().splitlines():
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) << 10
        except PermissionError:
            return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * _PAGE
    return 0
