from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from farm import machine

MIB = 1 << 20


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.max": "max"}, None),
        ({"memory.max": str(64 * MIB)}, 64 * MIB),
        ({"memory/memory.limit_in_bytes": str(32 * MIB)}, 32 * MIB),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_memory_is_what_the_container_was_given(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    write(tmp_path, files)
    assert machine.memory(tmp_path) == (expected or psutil.virtual_memory().total)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "1000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_processors_are_what_the_container_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    write(tmp_path, files)
    assert machine.processors(tmp_path) == expected
