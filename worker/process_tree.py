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

MARK_VARIABLE = "FARM_STAGE_MARK"
_PROC = "/proc"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class _Process:
    """started: in clock ticks since boot."""

    pid: int
    parent: int
    zombie: bool
    started: int


def members(mark: str, root: int | None = None) -> list[int]:
    """The living processes whose mark begins with `mark`, the process `root`, and all their descendants."""
    processes = _processes()
    # What is older than the root was not started by it, which spares most of the looking.
    oldest = next((process.started for process in processes if process.pid == root), 0)
    young = [process for process in processes if process.started >= oldest]
    found = {process.pid for process in young if process.pid == root or _has_mark(process.pid, mark)}
    while children := {process.pid for process in young if process.parent in found} - found:
        found |= children
    return sorted(process.pid for process in young if process.pid in found and not process.zombie)


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
    for name in os.listdir(_PROC):  # noqa: PTH208 # all processes, four times a second: paths cost too much here
        if name.isdigit() and (status := _read(f"{_PROC}/{name}/stat")):
            # The name in parentheses may hold anything, so the fields are counted from its end; see proc(5).
            fields = status.rpartition(b")")[2].split(maxsplit=20)
            found.append(_Process(int(name), int(fields[1]), fields[0] in (b"Z", b"X"), int(fields[19])))
    return found


def _has_mark(pid: int, mark: str) -> bool:
    return f"\0{MARK_VARIABLE}={mark}".encode() in b"\0" + _read(f"{_PROC}/{pid}/environ")


def _read(path: str) -> bytes:
    """A file of /proc; nothing when the process is gone or another user's, which cannot be a stage's."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    except ProcessLookupError:
        return b""
    finally:
        os.close(descriptor)


def _memory_of(pid: int) -> int:
    for line in _read(f"{_PROC}/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) << 10
    # Not every kernel tells what is shared; then what is resident must do.
    resident = _read(f"{_PROC}/{pid}/statm").split()
    return int(resident[1]) * _PAGE if resident else 0
