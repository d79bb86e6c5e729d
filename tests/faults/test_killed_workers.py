"""kill -9 of workers: at every stage boundary, at every write, at random times; nothing is lost or made twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from db.models import ArtifactRow, Attempt, Job
from farm import digests
from farm.artifacts import ArtifactName
from farm.stages import STAGES, StageName
from farm.states import JobState
from worker import process_tree

JOBS = 150
STAGE_NAMES = [stage.name for stage in STAGES]


def require_sound(yard) -> None:
    """Every job once, every artifact of the store whole and used, nothing left over."""
    with yard.database().read() as connection:
        states = Counter(connection.scalars(sa.select(Job.state)))
        assert set(states) == {"succeeded"}, states
        reports = Counter(
            connection.scalars(sa.select(ArtifactRow.job_id).where(ArtifactRow.name == ArtifactName.REPORT.value))
        )
        assert set(reports.values()) == {1}
        ended_well = sa.select(Attempt.job_id).where(Attempt.ended_at.is_not(None), Attempt.reason.is_(None))
        assert set(Counter(connection.scalars(ended_well)).values()) == {1}
        succeeded = connection.scalars(sa.text("SELECT job_id FROM events WHERE kind = 'succeeded'"))
        assert set(Counter(succeeded).values()) == {1}
        referenced = set(connection.scalars(sa.select(ArtifactRow.digest)))
    stored = {path.name: path for path in (yard.settings.store / "blobs").iterdir()}
    assert referenced <= set(stored)
    assert [name for name, path in stored.items() if digests.of_file(path) != name] == []
    assert not list((yard.settings.store / "incoming").glob("*"))
    assert not list(yard.settings.work.glob("*/*"))


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_killed_in_the_middle_of_a_stage(yard, tmp_path, stage: StageName) -> None:
    job_id = yard.submit({stage.value: ["kill-worker", str(tmp_path / "mark")]})
    first = yard.start_worker()
    yard.until(lambda: first.poll() is not None)
    assert first.returncode == -signal.SIGKILL
    assert yard.farm.job(job_id).state is JobState.RUNNING
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    before = {each.name for each in job.stages[: STAGE_NAMES.index(stage)]}
    assert {each.name for each in job.stages if each.state == "reused"} == before
    require_sound(yard)


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_killed_just_after_a_stage(make_yard, stage: StageName) -> None:
    """While the supervisor stores, renames, syncs and commits: some milliseconds after the stage's own end.

    The plan kills in every attempt in which the stage runs again; once its result is filed, the next passes it.
    """
    yard = make_yard(max_attempts=1000)
    chance = random.Random(stage.value)  # noqa: S311 # reproducible
    job_id = yard.submit({stage.value: ["kill-worker-later", [chance.uniform(0, 0.02) for _ in range(20)]]})
    for _ in range(100):
        yard.start_worker(idle_seconds=0.0).wait()
        if yard.farm.job(job_id).state.terminal:
            break
    yard.serve()
    require_sound(yard)


def test_random_kills(make_yard) -> None:
    """R1 in small: two workers, killed every so often while many jobs run."""
    yard = make_yard(max_attempts=1000, lease_seconds=20.0, heartbeat_seconds=1.0)
    chance = random.Random(20261)  # noqa: S311 # reproducible
    jobs = [yard.submit({"seed": number % 8}, label=f"App {number}") for number in range(JOBS)]
    workers = [yard.start_worker(), yard.start_worker()]
    kills = 0
    deadline = time.monotonic() + 100
    while not finished(yard) and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.2, 1.0))
        place = chance.randrange(2)
        if workers[place].poll() is None:
            workers[place].kill()
            workers[place].wait()
            kills += 1
        workers[place] = yard.start_worker()
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        worker.wait(20)
    assert finished(yard)
    assert kills >= 5
    yard.serve()
    require_sound(yard)
    assert len(jobs) == len(set(jobs)) == JOBS


def finished(yard) -> bool:
    with yard.database().read() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(Job.state.in_(["queued", "running"]))) == 0


def test_a_job_that_kills_every_worker_fails_after_three(yard) -> None:
    job_id = yard.submit({"check": ["kill-worker-later", [0.0]], "convert": ["sleep", 5]})
    for _ in range(3):
        # The stage is made anew each time, so that it kills each time.
        worker = yard.start_worker()
        worker.wait(30)
        with sqlite3.connect(yard.settings.home / "farm.db") as connection:
            connection.execute("DELETE FROM stage_results")
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.error.code, job.attempt) == (JobState.FAILED, "worker-lost", 3)


def test_a_killed_workers_stage_does_not_live_on(yard) -> None:
    job_id = yard.submit({"check": ["sleep", 60]})
    worker = yard.start_worker()
    yard.until(lambda: yard.farm.job(job_id).stages[1].doing == "sleeping")
    with yard.database().read() as connection:
        worker_id = connection.scalar(sa.select(Job.worker_id).where(Job.id == job_id))
    orphans = process_tree.members(worker_id)
    assert orphans
    worker.kill()
    worker.wait()
    yard.farm.cancel(job_id)
    yard.serve()
    assert process_tree.members(worker_id) == []
    assert yard.farm.job(job_id).state is JobState.CANCELLED
