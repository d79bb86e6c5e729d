"""Leases: workers that sleep past theirs, that die with one, and jobs that outlast every other timeout."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import claims, session, stages
from db.claims import Claim, LeaseLost
from db.models import ArtifactRow, Job
from db.session import now, replace
from farm import identity
from farm.artifacts import Artifact
from farm.stages import StageName
from farm.states import JobState
from tests.faults.in_process import InProcess
from tests.faults.soundness import count
from tests.faults.yard import ForkedWorker, Yard
from tests.trial import SQLITE
from worker import reconciliation
from worker.stage_process import StageJob
from worker.termination import Reason, Termination


def overrun(yard, number: int) -> tuple[Claim, Claim]:
    """The same job claimed twice: by a worker that sleeps past its lease, and by the next one."""
    yard.submit({"seed": number})
    database = yard.database()
    late = claims.claim(database, "late", lease_seconds=-1)
    assert late is not None
    assert claims.requeue_lost(database, [], max_attempts=1000) == [late.job_id]
    current = claims.claim(database, "current", lease_seconds=60)
    assert current is not None
    assert (current.job_id, current.attempt) == (late.job_id, late.attempt + 1)
    return late, current


@pytest.mark.parametrize("change", ["heartbeat", "progress", "start", "skip", "release", "cancelled"])
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
            case "release":
                claims.release(database, late, "x")
            case "cancelled":
                claims.cancelled(database, late)


@pytest.mark.goal(id="R5")
@pytest.mark.parametrize("fenced", [True, False])
def test_workers_that_sleep_past_their_lease(make_farm, trial, monkeypatch: pytest.MonkeyPatch, fenced: bool) -> None:
    """Stopped in mid-stage, woken when others have done their jobs; the control writes without the fence."""
    if not fenced:
        monkeypatch.setattr(claims, "hold", hold_without_fence)
        monkeypatch.setattr(claims, "cancel_requested", lambda *_: False)
        monkeypatch.setattr(stages, "file_artifacts", overwrite_artifacts)
    yard = make_farm(lease_seconds=1.5, heartbeat_seconds=0.3)
    go = yard.settings.home / "go"
    sleepers = trial.size(3 if fenced else 1, 30 if fenced else 5)

    def wait_for_go(_job: StageJob, _termination: Termination) -> None:
        """The stage ended while its supervisor slept."""
        while not go.exists():
            time.sleep(0.02)

    ids = [yard.submit({"seed": number}, label=f"App {number}") for number in range(sleepers)]
    late = [yard.start_embedded(InProcess({StageName.CHECK: wait_for_go})) for _ in range(sleepers)]
    yard.until(lambda: all(yard.farm.job(job_id).stages[1].state == "running" for job_id in ids), 60)
    for worker in late:
        put_to_sleep(yard, worker)
    yard.until(lambda: yard.serve(runner=InProcess()) + count(yard, JobState.SUCCEEDED) >= sleepers, 60)
    yard.until(lambda: yard.serve(runner=InProcess()) == 0 and count(yard, JobState.SUCCEEDED) == sleepers, 60)
    go.touch()
    for worker in late:
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(60) == 0
    published = {job_id: [event.kind for event in yard.farm.events(job_id)].count("succeeded") for job_id in ids}
    twice = sum(times > 1 for times in published.values())
    refused = (yard.settings.home / "workers.log").read_text().count(Reason.LEASE_LOST.value)
    if fenced:
        trial.measured(f"{sleepers} workers overran their lease: {twice} published, {refused} refused")
        assert (twice, refused) == (0, sleepers)
    else:
        trial.measured(f"the control without the fence: {twice} of {sleepers} published")
        assert twice > 0


def put_to_sleep(yard: Yard, worker: ForkedWorker) -> None:
    """Stop a worker, but not while it writes: SQLite's one writer would keep all others waiting."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        if yard.database().engine.dialect.name != "sqlite":
            return
        with closing(sqlite3.connect(yard.settings.home / "farm.db", timeout=0.2, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.send_signal(signal.SIGCONT)
                continue
            connection.execute("ROLLBACK")
            return


def hold_without_fence(connection: Connection, held: Claim, **changes: Any) -> None:
    """As claims.hold, conditional on the job alone."""
    lease = now() + timedelta(seconds=held.lease_seconds)
    connection.execute(sa.update(Job).where(Job.id == held.job_id).values(lease_until=lease, **changes))


def overwrite_artifacts(connection: Connection, held: Claim, artifacts: Collection[Artifact]) -> None:
    """As stages.file_artifacts, in place of whatever the job has."""
    for each in artifacts:
        row = {"job_id": held.job_id, "name": each.name.value, "digest": each.digest, "size": each.size}
        replace(connection, ArtifactRow, [row])


@pytest.mark.goal(id="R6")
def test_a_job_longer_than_the_brokers_timeouts_runs_once(make_fleet, trial) -> None:
    """A wake-up is acknowledged when it comes, so that no timeout of the broker can give it out again."""
    longest = 10.0 if trial.full else 1.0  # the socket's timeout; in the short form the two that are set here
    fleet = make_fleet(broker_visibility_seconds=1, forgotten_seconds=1.0)
    seconds = trial.size(3, 34) * longest
    for _ in range(2):
        fleet.start_worker(runner=InProcess())
    job_id = fleet.submit({"check": ["sleep", seconds]})
    job = fleet.wait(job_id, seconds + 60)
    runs = [event.kind for event in fleet.farm.events(job_id)].count("claimed")
    trial.measured(f"a job of {seconds:.0f} s, timeouts of 1 to {longest:.0f} s: {runs} run")
    assert (runs, job.state) == (1, JobState.SUCCEEDED)


@pytest.mark.goal(id="R7")
def test_a_dead_workers_job_runs_again(make_farm, trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a worker on a machine that nobody can look at any more: the lease alone tells."""
    monkeypatch.setattr(identity, "known_dead", lambda *_: False)
    lease, beat = (60.0, 10.0) if trial.full else (1.5, 0.5)
    yard = make_farm(lease_seconds=lease, heartbeat_seconds=beat)
    job_id = yard.submit({"check": ["sleep", 1.0 + 2 * beat]})
    doomed = yard.start_worker(runner=InProcess())
    yard.until(lambda: yard.farm.job(job_id).stages[1].activity == "sleeping")
    time.sleep(beat)
    doomed.kill()
    doomed.wait()
    died = time.monotonic()
    yard.start_worker(runner=InProcess())
    yard.until(lambda: yard.farm.job(job_id).attempt == 2, lease + 15)
    seconds = time.monotonic() - died
    trial.measured(f"with a lease of {lease:g} s the job ran again after {seconds:.1f} s")
    assert seconds <= lease + 15
    assert yard.wait(job_id, 30 + 3 * beat).state is JobState.SUCCEEDED


SKEWS = (70.0, -70.0, 120.0, -120.0)


@pytest.mark.goal(id="A9")
def test_no_healthy_job_is_failed_by_a_clock(make_farm, engine: str, trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of other machines, whose clocks differ, or one machine, whose clock is set while jobs run.

    A SQLite database is used by one machine, so that there a clock that moves is what happens.
    """
    farm = make_farm()
    database = farm.database()
    lost = claimed = 0
    for number in range(trial.size(8, 100)):
        skew = SKEWS[number % len(SKEWS)]
        farm.submit({"seed": number})
        held = claims.claim(database, "healthy", lease_seconds=60)
        assert held is not None
        claimed += 1
        sweeper = reconciliation.Sweeper(farm.settings, database, "another", confines=True)
        lost += len(sweeper.sweep())
        with monkeypatch.context() as set_clock:
            set_clock.setattr(time, "time", lambda skew=skew, time_of=time.time: time_of() + skew)
            set_clock.setattr(session, "now", lambda skew=skew: now() + timedelta(seconds=skew))
            if engine != SQLITE:
                lost += len(claims.requeue_lost(database, [], max_attempts=3))
            lost += len(sweeper.sweep())
            claims.heartbeat(database, held)
            lost += len(sweeper.sweep())
            lost += len(claims.requeue_lost(database, [], max_attempts=3))
            claims.heartbeat(database, held)
        # Set right again: with a clock that was late, the leases lie in the past.
        if engine != SQLITE:
            lost += len(claims.requeue_lost(database, [], max_attempts=3))
        lost += len(sweeper.sweep())
        claims.heartbeat(database, held)
        lost += len(claims.requeue_lost(database, [], max_attempts=3))
        claims.cancelled(database, held)
    trial.measured(f"{claimed} jobs, clocks 70 and 120 s apart both ways: {lost} healthy ones failed")
    assert lost == 0


def test_a_lease_counts_again_after_the_clock_was_set(yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.submit()
    database = yard.database()
    assert claims.claim(database, "gone", lease_seconds=1) is not None
    sweeper = reconciliation.Sweeper(yard.settings, database, "another", confines=True)
    monkeypatch.setattr(time, "time", lambda time_of=time.time: time_of() + 70)
    monkeypatch.setattr(session, "now", lambda: now() + timedelta(seconds=70))
    assert sweeper.sweep() == []
    monkeypatch.setattr(time, "monotonic", lambda time_of=time.monotonic: time_of() + yard.settings.lease_seconds)
    monkeypatch.setattr(time, "time", lambda time_of=time.time: time_of() + yard.settings.lease_seconds)
    assert len(sweeper.sweep()) == 1
