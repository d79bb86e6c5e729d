"""Cancellation, SIGTERM, and workers that leave."""

from __future__ import annotations

import signal
import time

import pytest

from db import jobs, workers
from farm import identity
from farm.errors import TransitionRefused
from farm.states import JobState
from worker import process_tree
from worker.sandbox import Bubblewrap


def test_a_queued_job_is_cancelled_at_once(yard) -> None:
    job_id = yard.submit({"seed": 1})
    assert yard.farm.cancel(job_id).state is JobState.CANCELLED
    with pytest.raises(TransitionRefused):
        yard.farm.cancel(job_id)
    assert yard.serve() == 0


@pytest.mark.parametrize("sandboxed", [False, True])
def test_cancel_kills_the_whole_tree(make_yard, tmp_path, sandboxed: bool) -> None:
    """Also a child in a session of its own and a double-forked one that ignores SIGTERM."""
    yard = make_yard()
    folder = tmp_path / "pids"
    folder.mkdir()
    # In the sandbox the work folder is the only place to write.
    job_id = yard.submit({"check": ["grandchildren", "scratch" if sandboxed else str(folder)]})
    yard.start_worker(Bubblewrap() if sandboxed else None)
    yard.until(lambda: marked(yard) >= 4)
    started = time.monotonic()
    yard.farm.cancel(job_id)
    job = yard.wait(job_id, 15)
    assert job.state is JobState.CANCELLED
    assert job.cancel_requested
    yard.until(lambda: marked(yard) == 0, 5)
    assert time.monotonic() - started < 15
    assert yard.farm.retry(job_id).state is JobState.QUEUED


def marked(yard) -> int:
    """How many processes the worker's stages have."""
    with yard.database().read() as connection:
        ids = [each.id for each in workers.registered(connection)]
    return sum(len(process_tree.members(worker_id)) for worker_id in ids)


def test_cancellation_survives_the_death_of_all_workers(yard) -> None:
    job_id = yard.submit({"check": ["sleep", 60]})
    worker = yard.start_worker()
    yard.until(lambda: yard.farm.job(job_id).stages[1].doing == "sleeping")
    yard.farm.cancel(job_id)
    worker.kill()
    worker.wait()
    yard.serve()
    assert yard.farm.job(job_id).state is JobState.CANCELLED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_gives_its_job_back_uncharged(yard, number: signal.Signals) -> None:
    job_id = yard.submit({"check": ["sleep", 60]})
    worker = yard.start_worker()
    for _ in range(3):
        yard.until(lambda: yard.farm.job(job_id).stages[1].doing == "sleeping")
        started = time.monotonic()
        worker.send_signal(number)
        assert worker.wait(yard.settings.grace_seconds + 5) == 0
        assert time.monotonic() - started < yard.settings.grace_seconds + 5
        job = yard.farm.job(job_id)
        assert (job.state, job.attempt) == (JobState.QUEUED, 0)
        worker = yard.start_worker()
    with yard.database().read() as connection:
        attempts = jobs.attempts(connection, job_id)
    assert [each.charged for each in attempts[:3]] == [False] * 3
    assert attempts[0].reason == "the worker was asked to stop"


def test_leaving_and_submitting_at_once_never_strands_a_job(make_yard) -> None:
    """Workers that leave after a moment, submissions at just that moment."""
    yard = make_yard(idle_seconds=0.0)
    stranded = []
    for number in range(12):
        yard.start_worker(idle_seconds=0.05)
        job_id = yard.submit(label=f"App {number}")
        # As ensure_worker does: whoever finds no living worker starts one.
        with yard.database().read() as connection:
            alive = [each for each in workers.registered(connection) if alive_now(each.process)]
        if not alive:
            yard.start_worker(idle_seconds=0.05)
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
