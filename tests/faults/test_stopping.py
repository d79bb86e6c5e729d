"""Cancellation, SIGTERM, and workers that leave."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from db import jobs, workers
from farm import identity
from farm.errors import TransitionRefused
from farm.states import JobState
from tests.faults.in_process import InProcess
from tests.faults.yard import Yard
from tests.trial import SQLITE
from worker import process_tree
from worker.sandbox import Bubblewrap


def test_a_queued_job_is_cancelled_at_once(yard) -> None:
    job_id = yard.submit({"seed": 1})
    assert yard.farm.cancel(job_id).state is JobState.CANCELLED
    with pytest.raises(TransitionRefused):
        yard.farm.cancel(job_id)
    assert yard.serve() == 0


@pytest.mark.goal(id="R13")
def test_cancel_kills_the_whole_tree(make_farm, trial, place: Path) -> None:
    """Also a child in a session of its own and a double-forked one that ignores SIGTERM; half of the jobs sandboxed."""
    yard = make_farm(grace_seconds=10.0 if trial.full else 0.5)
    wanted, at_once = trial.size(2, 50), trial.size(2, 10)
    workers_of = [yard.start_worker(Bubblewrap() if number % 2 else None) for number in range(at_once)]
    slowest = slowest_queued = 0.0
    cancelled = 0
    while cancelled < wanted:
        ids = [submit_tree(yard, place, cancelled + number) for number in range(at_once)]
        yard.until(lambda ids=ids: all(has_tree(yard, job_id) for job_id in ids), 120)
        queued = yard.submit({"check": ["sleep", 60]}, label=f"Queued {cancelled}")
        started = time.monotonic()
        assert yard.farm.cancel(queued).state is JobState.CANCELLED
        slowest_queued = max(slowest_queued, time.monotonic() - started)
        started = time.monotonic()
        for job_id in ids:
            yard.farm.cancel(job_id)
        for job_id in ids:
            assert yard.wait(job_id, 30).state is JobState.CANCELLED
        yard.until(lambda: marked(yard) == 0, 15)
        slowest = max(slowest, time.monotonic() - started)
        cancelled += len(ids)
    # A worker that waits may have it before it is looked at.
    assert yard.farm.retry(ids[0]).state in (JobState.QUEUED, JobState.RUNNING)
    yard.until(lambda: has_tree(yard, ids[0]), 60)
    yard.farm.cancel(ids[0])
    for worker in workers_of:
        worker.kill()
        worker.wait()
    yard.serve(runner=InProcess())
    survived = yard.farm.job(ids[0]).state is JobState.CANCELLED and marked(yard) == 0
    trial.measured(
        f"{cancelled} of {cancelled} trees gone, the slowest after {slowest:.1f} s; queued {slowest_queued:.2f} s;"
        f" {'kept' if survived else 'lost'} when all workers were killed"
    )
    assert slowest <= 15
    assert slowest_queued <= 2
    assert survived


def submit_tree(yard: Yard, place: Path, number: int) -> str:
    """A job with three grandchildren; in the sandbox the work folder is the only place to write."""
    folder = place / f"pids-{number}"
    folder.mkdir(exist_ok=True)
    return yard.submit({"check": ["grandchildren", [str(folder), "scratch"]]}, label=f"Tree {number}")


def has_tree(yard: Yard, job_id: str) -> bool:
    return yard.farm.job(job_id).stages[1].activity == "grown"


def marked(yard: Yard) -> int:
    """How many processes the workers' stages have."""
    with yard.database().read() as connection:
        ids = [each.id for each in workers.registered(connection)]
    return sum(len(process_tree.members(worker_id)) for worker_id in ids)


@pytest.mark.goal(id="R14")
def test_a_worker_that_is_asked_to_stop_gives_its_job_back_uncharged(make_farm, trial) -> None:
    """By SIGTERM and, the embedded one, by SIGINT."""
    yard = make_farm()
    job_id = yard.submit({"check": ["sleep", 600]})
    wanted = trial.size(2, 20)
    slowest, right = 0.0, 0
    for number in range(wanted):
        worker = yard.start_worker()
        yard.until(lambda: yard.farm.job(job_id).stages[1].activity == "sleeping")
        started = time.monotonic()
        # Celery takes SIGINT on a terminal for a wish to leave when the work is done.
        worker.send_signal(signal.SIGINT if number % 2 and trial.engine == SQLITE else signal.SIGTERM)
        assert worker.wait(yard.settings.grace_seconds + 15) == 0
        slowest = max(slowest, time.monotonic() - started)
        job = yard.farm.job(job_id)
        right += (job.state, job.attempt) == (JobState.QUEUED, 0)
    trial.measured(f"{right} of {wanted} queued again and uncharged, the slowest gone after {slowest:.1f} s")
    assert right == wanted
    assert slowest < yard.settings.grace_seconds + 5
    with yard.database().read() as connection:
        attempts = jobs.attempts(connection, job_id)
    assert {each.counted for each in attempts} == {False}
    assert attempts[0].reason == "the worker was asked to stop"


def test_leaving_and_submitting_at_once_never_strands_a_job(make_yard) -> None:
    """Workers that leave after a moment, submissions at just that moment."""
    yard = make_yard(idle_seconds=0.0)
    stranded = []
    for number in range(6):
        yard.start_worker(idle_seconds=0.05, runner=InProcess())
        job_id = yard.submit(label=f"App {number}")
        # As ensure_worker does: whoever finds no living worker starts one.
        with yard.database().read() as connection:
            alive = [each for each in workers.registered(connection) if alive_now(each.process)]
        if not alive:
            yard.start_worker(idle_seconds=0.05, runner=InProcess())
        if yard.wait(job_id, 20).state is not JobState.SUCCEEDED:
            stranded.append(job_id)
    assert stranded == []


def alive_now(process: str) -> bool:
    return not identity.known_dead(identity.ProcessIdentity.parse(process))


def test_a_worker_leaves_only_when_no_job_is_queued(yard) -> None:
    database = yard.database()
    workers.register(database, "one", str(identity.of_process()))
    yard.submit({"seed": 1})
    assert not workers.leave_if_idle(database, "one")
    yard.farm.cancel(yard.farm.latest().id)
    assert workers.leave_if_idle(database, "one")
    with database.read() as connection:
        assert workers.registered(connection) == []
