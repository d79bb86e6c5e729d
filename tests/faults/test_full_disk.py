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
from tests.faults.in_process import InProcess
from tests.faults.soundness import examine


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


# How much room is left: the disk fills up at the work folder, the log, the store or the database, as it has it.
LEFT = (0, 4 << 10, 16 << 10, 32 << 10, 48 << 10, 64 << 10, 100 << 10, 160 << 10, 240 << 10, 400 << 10)


@pytest.mark.goal(id="R10")
def test_no_room_at_any_point_leaves_nothing_partial(make_farm, small_disk: Path, trial) -> None:
    yard = make_farm(home=small_disk / "home", poll_seconds=0.01)
    first = yard.submit({"seed": 0})
    yard.serve(runner=InProcess())
    points = LEFT if trial.full else LEFT[1::4]
    told = succeeded = 0
    for number, leave in enumerate(points):
        job_id = yard.submit({"seed": 1 + number})
        ballast = fill(small_disk, leave)
        # Where not even the failure can be written down the worker itself gives up, with the same sentence.
        try:
            yard.serve(runner=InProcess())
        except DiskFull as error:
            assert "disk" in error.sentence
            told += 1
        job = yard.farm.job(job_id)
        assert job.error is None or job.error.code == DiskFull.code()
        told += job.error is not None
        for artifact in yard.farm.job(first).artifacts + job.artifacts:
            yard.store.check(artifact)
        ballast.unlink()
        if job.state is JobState.FAILED:
            yard.farm.retry(job_id)
        yard.until(lambda job_id=job_id: yard.serve(runner=InProcess()) or yard.farm.job(job_id).state.terminal, 20)
        succeeded += yard.farm.job(job_id).state is JobState.SUCCEEDED
    found = examine(yard, 1 + len(points))
    trial.measured(f"{len(points)} points: {told} told in a sentence, {succeeded} succeeded with room again; {found}")
    assert succeeded == len(points)
    assert found.sound
    assert told > 0


def test_no_room_where_it_is_downloaded_to(yard, small_disk: Path) -> None:
    job_id = yard.submit({"seed": 1})
    yard.serve()
    fill(small_disk, 0)
    with pytest.raises(DiskFull):
        yard.farm.download(job_id, ArtifactName.REPORT, small_disk / "report.json")
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast"]
