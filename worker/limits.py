"""The limits that a running stage is watched for: time, memory of all its processes, room on the disk."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from farm.errors import DiskFull, FarmError, OutOfMemory, StageTimeout
from farm.stages import StageName
from worker import process_tree

SAMPLE_SECONDS = 0.25
# Adding up a large process's memory keeps it waiting; it may cost it this part of its time.
SAMPLE_COST = 0.05
# Part of the files that a disk can hold which must stay free.
INODE_RESERVE = 0.02


@dataclass(frozen=True)
class Limits:
    """seconds; memory in bytes, all processes together; disk_reserve: bytes that must stay free."""

    seconds: float
    memory: int
    disk_reserve: int


class Meter:
    """Measures one stage's processes and says when a limit is passed. peak_bytes: the most memory seen so far."""

    def __init__(self, stage: StageName, limits: Limits, mark: str, root: int, workdir: Path) -> None:
        self._stage = stage
        self._limits = limits
        self._mark = mark
        self._root = root
        self._workdir = workdir
        self._deadline = time.monotonic() + limits.seconds
        self._next_sample = time.monotonic() + SAMPLE_SECONDS
        self.peak_bytes = 0

    def seconds_to_next(self) -> float:
        """How long until `check` has something to do."""
        return max(0.0, min(self._next_sample, self._deadline) - time.monotonic())

    def check(self) -> FarmError | None:
        """The error of a limit that is passed."""
        started = time.monotonic()
        if started >= self._deadline:
            return self._timeout()
        if started < self._next_sample:
            return None
        used = process_tree.memory(process_tree.members(self._mark, self._root))
        self.peak_bytes = max(self.peak_bytes, used)
        cost = time.monotonic() - started
        self._next_sample = started + max(SAMPLE_SECONDS, cost / SAMPLE_COST)
        if used > self._limits.memory:
            return OutOfMemory(
                f"The stage {self._stage} was stopped at {used >> 20} MiB of memory, over its limit of"
                f" {self._limits.memory >> 20} MiB; raise FARM_MEMORY_LIMIT or use a smaller model."
            )
        if self._few_files_left():
            return DiskFull(
                f"The stage {self._stage} was stopped because the disk of {self._workdir.parent} takes hardly any more"
                " files; remove some and run the job again."
            )
        if shutil.disk_usage(self._workdir).free < self._limits.disk_reserve:
            return DiskFull(
                f"The stage {self._stage} was stopped because less than {self._limits.disk_reserve >> 20} MiB are free"
                f" in {self._workdir.parent}; free some room and run the job again."
            )
        return None

    def require_time(self) -> None:
        """StageTimeout once the stage's time is over, what is done with its outputs included."""
        if time.monotonic() >= self._deadline:
            raise self._timeout()

    def _timeout(self) -> StageTimeout:
        return StageTimeout(
            f"The stage {self._stage} was stopped after its limit of {self._limits.seconds:g} s; see its log, and"
            " give the machine less other work before you run the job again."
        )

    def _few_files_left(self) -> bool:
        # Not every file system counts its files.
        status = os.statvfs(self._workdir)
        return status.f_files > 0 and status.f_favail < INODE_RESERVE * status.f_files


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
