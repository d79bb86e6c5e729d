"""kill -9 of workers: at every stage boundary, at every write, at random times; nothing is lost or made twice."""

from __future__ import annotations

import random
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from db.models import Job
from farm import stages
from farm.stages import STAGES, StageName
from farm.states import JobState
from tests.faults.fleet import Fleet
from tests.faults.in_process import InProcess
from tests.faults.kills import Killing
from tests.faults.soundness import examine
from worker import process_tree


@pytest.mark.parametrize("stage", [StageName.CHECK, StageName.PACKAGE])
def test_killed_in_the_middle_of_a_stage(yard, tmp_path, stage: StageName) -> None:
    job_id = yard.submit({stage.value: ["kill-worker", str(tmp_path / "mark")]})
    first = yard.start_worker()
    yard.until(lambda: first.poll() is not None)
    assert first.returncode == -signal.SIGKILL
    assert yard.farm.job(job_id).state is JobState.RUNNING
    yard.serve()
    job = yard.farm.job(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    names = [each.name for each in job.stages]
    before = set(names[: names.index(stage)])
    assert {each.name for each in job.stages if each.state == "reused"} == before
    assert examine(yard, 1).sound


@pytest.mark.parametrize("stage", [StageName.CONVERT, StageName.BUNDLE])
def test_killed_just_after_a_stage(make_yard, stage: StageName) -> None:
    """While the supervisor stores, renames, syncs and commits: some milliseconds after the stage's own end.

    With the stage as a process; every point of the supervisor's own is in test_kill_points.
    The plan kills in every attempt in which the stage runs again; once its result is filed, the next passes it.
    """
    yard = make_yard(max_attempts=1000)
    chance = random.Random(stage.value)  # noqa: S311 # reproducible
    # From one millisecond to one second, so that some attempt gets through on a slow machine too.
    delays = [0.5 ** chance.uniform(0, 10) for _ in range(20)]
    job_id = yard.submit({stage.value: ["kill-worker-later", delays]})
    for _ in range(100):
        yard.start_worker(idle_seconds=0.0).wait()
        if yard.farm.job(job_id).state.terminal:
            break
    # The next worker would be this process.
    assert yard.farm.job(job_id).state.terminal
    yard.serve()
    assert examine(yard, 1).sound


@pytest.mark.goal(id="R1")
def test_random_kills(make_yard, trial) -> None:
    """Two workers, killed every so often while many jobs run, stages as processes."""
    yard = make_yard(max_attempts=1000, lease_seconds=20.0, heartbeat_seconds=1.0)
    jobs, kills = trial.size(20, 3000), trial.size(4, 200)
    for number in range(jobs):
        yard.submit({"seed": number % 8}, label=f"App {number}")
    killing = Killing(yard, trial.chance, yard.start_worker, jobs, kills)
    killing.run()
    # The next worker of the machine sets right what the last ones left.
    yard.serve()
    found = examine(yard, jobs)
    trial.measured(f"{found}, {killing.done} kills")
    assert found.sound
    assert killing.done >= kills


@pytest.mark.goal(id="R2")
def test_wake_ups_under_kills(make_fleet, trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many wake-ups: jobs of one stage, which runs in the workers' own processes."""
    monkeypatch.setattr(stages, "STAGES", STAGES[:1])
    fleet = make_fleet(max_attempts=1000, lease_seconds=20.0, heartbeat_seconds=2.0)
    jobs, kills = trial.size(40, 30_000), trial.size(2, 117)
    submit_many(fleet, jobs)
    killing = Killing(fleet, trial.chance, lambda: fleet.start_worker(runner=InProcess()), jobs, kills)
    killing.run()
    fleet.serve(runner=InProcess())
    found = examine(fleet, jobs)
    trial.measured(f"{found}, {killing.done} kills")
    assert found.sound
    assert killing.done >= kills


@pytest.mark.goal(id="R3")
def test_the_database_is_restarted_and_workers_killed(make_fleet, trial) -> None:
    """Jobs of all stages, which run in the workers' own processes."""
    fleet = make_fleet(max_attempts=1000, lease_seconds=20.0, heartbeat_seconds=1.0)
    jobs, kills, restarts = trial.size(12, 3000), trial.size(2, 250), trial.size(1, 20)
    for number in range(jobs):
        fleet.submit({"seed": number % 8}, label=f"App {number}")

    def restart() -> None:
        fleet.postgresql.stop()
        fleet.postgresql.start()

    faults = [(1 + kills * number // restarts, restart) for number in range(restarts)]
    killing = Killing(fleet, trial.chance, lambda: fleet.start_worker(runner=InProcess()), jobs, kills, faults)
    killing.run()
    fleet.serve(runner=InProcess())
    found = examine(fleet, jobs)
    trial.measured(f"{found}, {killing.done} kills, {restarts} restarts")
    assert found.sound
    assert killing.done >= kills


def submit_many(fleet: Fleet, count: int) -> None:
    """Different jobs, submitted by several clients at once."""
    fleet.farm.jobs()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: fleet.submit({"seed": 1}, label=f"App {number}"), range(count)))


def test_a_job_that_kills_every_worker_fails_after_three(yard) -> None:
    job_id = yard.submit({"check": ["kill-worker-later", [0.0]], "convert": ["sleep", 5]})
    for _ in range(3):
        # The stage is made again each time, so that it kills each time.
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
    yard.until(lambda: yard.farm.job(job_id).stages[1].activity == "sleeping")
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
