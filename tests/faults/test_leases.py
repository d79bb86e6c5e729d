"""Workers that sleep past their lease: the fence refuses what they do afterwards."""

from __future__ import annotations

import dataclasses
import signal

import pytest
import sqlalchemy as sa

from db import claims, jobs, stages
from db.claims import Claim, LeaseLost
from db.models import ArtifactRow, Job
from farm.artifacts import Artifact, ArtifactName
from farm.errors import StageCrashed
from farm.stages import StageName
from farm.states import JobState

SLEEPERS = 30


def overrun(yard, number: int) -> tuple[Claim, Claim]:
    """The same job claimed twice: by a worker that sleeps past its lease, and by the next one."""
    yard.submit({"seed": number})
    database = yard.database()
    late = claims.claim(database, "late", lease_seconds=-1)
    assert claims.requeue_lost(database, [], max_attempts=1000) == [late.job_id]
    current = claims.claim(database, "current", lease_seconds=60)
    assert (current.job_id, current.attempt) == (late.job_id, late.attempt + 1)
    return late, current


def publish(connection, held: Claim, digest: str) -> None:
    """What a worker's last transaction does."""
    stages.file_artifacts(connection, held, [Artifact(ArtifactName.REPORT, digest * 64, 1)])
    claims.finish(connection, held)


def test_no_late_worker_publishes(yard) -> None:
    refused = 0
    for number in range(SLEEPERS):
        late, current = overrun(yard, number)
        database = yard.database()
        with pytest.raises(LeaseLost), database.write() as connection:
            publish(connection, late, "a")
        refused += 1
        with database.write() as connection:
            publish(connection, current, "b")
        with pytest.raises(LeaseLost):
            claims.fail(database, late, StageCrashed("late"), 3)
        with database.read() as connection:
            job = jobs.get(connection, late.job_id)
        assert (job.state, [artifact.digest[0] for artifact in job.artifacts]) == (JobState.SUCCEEDED, ["b"])
        database.close()
    assert refused == SLEEPERS


def test_without_the_fence_the_late_worker_would_win(yard) -> None:
    """The control: the same writes, conditional on the job alone."""
    late, current = overrun(yard, 0)
    database = yard.database()
    with database.write() as connection:
        publish(connection, current, "b")
    with database.write() as connection:
        unfenced = dataclasses.replace(late, attempt=current.attempt)
        stages.file_artifacts(connection, unfenced, [Artifact(ArtifactName.REPORT, "a" * 64, 1)])
        connection.execute(sa.update(Job).where(Job.id == late.job_id).values(state="succeeded"))
    with database.read() as connection:
        digests = list(connection.scalars(sa.select(ArtifactRow.digest).where(ArtifactRow.job_id == late.job_id)))
    assert digests == ["a" * 64]


@pytest.mark.parametrize("change", ["heartbeat", "progress", "start", "skip", "give_back", "cancelled"])
def test_every_later_write_is_fenced(yard, change: str) -> None:
    late, _ = overrun(yard, 0)
    database = yard.database()
    with pytest.raises(LeaseLost):
        match change:
            case "heartbeat":
                claims.heartbeat(database, late)
            case "progress":
                stages.progress(database, late, StageName.CHECK, 0.5, "x")
            case "start":
                stages.start(database, late, StageName.CHECK, "k" * 64, "x")
            case "skip":
                stages.skip(database, late, StageName.CHECK, "x")
            case "give_back":
                claims.give_back(database, late, "x")
            case "cancelled":
                claims.cancelled(database, late)


def test_a_worker_that_was_asleep_stops_at_once_and_harms_nothing(make_yard) -> None:
    """R5 with a real process: stopped past its lease, woken while another worker has the job."""
    yard = make_yard(lease_seconds=1.5, heartbeat_seconds=0.3)
    job_id = yard.submit({"check": ["sleep", 1.0], "convert": ["sleep", 1.5]})
    asleep = yard.start_worker()
    yard.until(lambda: yard.farm.job(job_id).stages[1].doing == "sleeping")
    asleep.send_signal(signal.SIGSTOP)
    awake = yard.start_worker()
    yard.until(lambda: yard.farm.job(job_id).attempt == 2)
    asleep.send_signal(signal.SIGCONT)
    job = yard.wait(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert [event.kind for event in yard.farm.events(job_id)].count("succeeded") == 1
    for worker in (asleep, awake):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
    log = (yard.settings.home / "workers.log").read_text()
    assert "the job is another worker's now" in log
