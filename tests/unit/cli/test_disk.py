"""What takes the space of a farm."""

from __future__ import annotations

import os
from pathlib import Path

from cli import disk_usage
from farm.settings import Settings


def test_every_part_is_counted_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", toolchain=tmp_path / "none")
    blobs = settings.store / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a").write_bytes(os.urandom(100_000))
    (settings.work / "w").mkdir(parents=True)
    (settings.work / "w" / "input").hardlink_to(blobs / "a")
    (blobs / "b").hardlink_to(blobs / "a")
    (settings.home / "farm.db").write_bytes(os.urandom(50_000))
    found = {one.what: one.bytes for one in disk_usage.usages(settings)}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert 100_000 <= found["files of jobs"] < 110_000
    assert 50_000 <= found["database"] < 60_000
    assert "Android toolchain" not in found


def test_the_command(farm, monkeypatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "x").write_bytes(b"x" * 10_000)
    monkeypatch.setenv("FARM_TOOLCHAIN", str(tmp_path / "none"))
    shown = farm("disk")
    assert "logs of stages" in shown.stdout
    assert "farm rm JOB, farm gc" in shown.stdout
    found = farm("disk", "--json").json
    assert found["bytes"] == sum(part["bytes"] for part in found["parts"]) >= 10_000
