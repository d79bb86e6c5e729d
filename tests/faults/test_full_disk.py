"""A full disk: a clear error, nothing partial, and work again once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.artifacts import ArtifactName
from farm.errors import DiskFull
from farm.states import JobState


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """A file that leaves about so many bytes free."""
    status = os.statvfs(place)
    ballast = place / "ballast"
    ballast.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - leave)))
    return ballast


def test_a_stage_that_fills_the_disk_is_stopped_in_time(make_yard, small_disk: Path) -> None:
    yard = make_yard(small_disk / "home", disk_reserve=8 << 20)
    job_id = yard.submit({"convert": ["disk", 18]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.error.code, job.attempt) == (JobState.FAILED, DiskFull.code(), 1)
    assert "less than 8 MiB are free" in job.error.sentence
    assert list(yard.settings.work.glob("*/*")) == []
    other = yard.submit({"seed": 1})
    yard.serve()
    assert yard.farm.job(other).state is JobState.SUCCEEDED


def test_a_stage_that_meets_the_full_disk_itself(make_yard, small_disk: Path) -> None:
    yard = make_yard(small_disk / "home")
    job_id = yard.submit({"convert": ["disk", 40]})
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.error.code) == (JobState.FAILED, DiskFull.code())
    assert list(yard.settings.work.glob("*/*")) == []


@pytest.mark.parametrize("leave", [0, 4 << 10, 16 << 10, 48 << 10, 100 << 10, 160 << 10])
def test_no_room_at_any_point_leaves_nothing_partial(make_yard, small_disk: Path, leave: int) -> None:
    """R10: the disk fills up at the work folder, the log, the store or the database, as `leave` has it."""
    yard = make_yard(small_disk / "home", poll_seconds=0.01)
    first = yard.submit({"seed": 0})
    yard.serve()
    job_id = yard.submit({"seed": 1})
    ballast = fill(small_disk, leave)
    # Where not even the failure can be written down the worker itself gives up, with the same sentence.
    try:
        yard.serve()
    except DiskFull as error:
        assert "disk" in error.sentence
    job = yard.farm.job(job_id)
    assert job.state in (JobState.FAILED, JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED)
    assert job.error is None or job.error.code == DiskFull.code()
    for artifact in yard.farm.job(first).artifacts + job.artifacts:
        yard.store.check(artifact)
    ballast.unlink()
    if job.state is JobState.FAILED:
        yard.farm.retry(job_id)
    if job.state is JobState.RUNNING:
        yard.until(lambda: yard.serve() > 0 or yard.farm.job(job_id).state.terminal, 20)
    yard.serve()
    assert yard.farm.job(job_id).state is JobState.SUCCEEDED


def test_no_room_where_it_is_downloaded_to(yard, small_disk: Path) -> None:
    job_id = yard.submit({"seed": 1})
    yard.serve()
    fill(small_disk, 0)
    with pytest.raises(DiskFull):
        yard.farm.download(job_id, ArtifactName.REPORT, small_disk / "report.json")
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast"]
