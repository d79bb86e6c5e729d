"""What this process may use of its machine: the least of what the machine has and what its container was given."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

# The second version of Linux's control groups and the first, as a container sees its own.
_ROOT = Path("/sys/fs/cgroup")
_MEMORY = ("memory.max", "memory/memory.limit_in_bytes")
_TIME = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def memory(root: Path = _ROOT) -> int:
    """Bytes of memory."""
    limits = [int(text) for name in _MEMORY if (text := _read(root / name)).isdigit()]
    # The first version says "no limit" with a number larger than any machine's memory.
    return min([psutil.virtual_memory().total, *limits])


def processors(root: Path = _ROOT) -> int:
    """How many threads can work at once, at least 1."""
    available = len(os.sched_getaffinity(0))
    for names in _TIME:
        # Microseconds of work in so many microseconds, or a word (`max`, -1) for no limit.
        quota = " ".join(_read(root / name) for name in names).split()
        if len(quota) == 2 and all(part.isdigit() for part in quota):
            available = min(available, -(-int(quota[0]) // int(quota[1])))
    return max(1, available)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
