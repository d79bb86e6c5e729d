"""Many processes at once: equal submissions, and writers of every kind."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import claims, jobs, stages
from db.claims import LeaseLost
from db.models import Event, Job
from db.session import OUR_FAULTS
from farm.errors import FarmError, TransitionRefused
from farm.stages import StageName
from tests.faults.in_process import InProcess
from tests.faults.yard import Yard


@pytest.mark.goal(id="R15")
def test_equal_submissions_at_once_make_one_job(make_farm, trial, place: Path) -> None:
    """From several processes that start together; then the job runs."""
    yard = make_farm()
    yard.farm.jobs()
    processes, each = 5, 20
    go = place / "go"

    def submit_many() -> None:
        yard.reopen()
        yard.farm.jobs()
        while not go.exists():
            time.sleep(0.001)
        answers = [yard.submit({"seed": 1}) for _ in range(each)]
        (place / f"answers-{time.monotonic_ns()}").write_text(json.dumps(answers))

    rounds = trial.size(1, 10)
    answered = 0
    for number in range(rounds):
        children = [yard.fork(submit_many) for _ in range(processes)]
        time.sleep(0.1)
        go.touch()
        assert {child.wait(60) for child in children} == {0}
        found = Counter(answer for path in place.glob("answers-*") for answer in json.loads(path.read_text()))
        answered += found.total()
        assert len(found) == 1
        yard.serve(runner=InProcess())
        with yard.database().read() as connection:
            runs = connection.scalar(sa.select(sa.func.count()).where(Event.kind == "claimed"))
            connection.rollback()
        assert runs == number + 1
        # The next round makes a job of its own.
        with yard.database().write() as connection:
            connection.execute(sa.update(Job).values(shareable=False))
        for path in (go, *place.glob("answers-*")):
            path.unlink()
    trial.measured(f"{rounds} times {processes * each} submissions: 1 run each, {answered} answers")
    assert answered == rounds * processes * each


@pytest.mark.goal(id="R18")
def test_writers_at_once_meet_no_lock(make_farm, trial, place: Path) -> None:
    """Each process does all that clients and workers do, as fast as it can."""
    yard = make_farm()
    yard.farm.jobs()
    seconds = 60.0 * trial.scale if trial.full else 2.0
    began = time.monotonic()
    children = [yard.fork(lambda number=number: write(yard, place, number, seconds)) for number in range(8)]
    assert {child.wait(seconds + 120) for child in children} == {0}, (place / "home" / "workers.log").read_text()
    done: Counter[str] = Counter()
    for path in place.glob("done-*"):
        done.update(json.loads(path.read_text()))
    slowest = done.pop("slowest milliseconds")
    refused = done.pop("refused")
    trial.measured(
        f"8 processes, {time.monotonic() - began:.0f} s: {done.total()} changes, {refused} refused by a lock"
        f" (the slowest took {slowest / 8:.0f} ms on the average of the processes)"
    )
    assert refused == 0
    assert done["finished"] > 0


def write(yard: Yard, place: Path, number: int, seconds: float) -> None:
    """Submit, claim, heartbeat, report progress, finish or give back, cancel: counts what was done and refused."""
    yard.reopen()
    database = yard.database()
    chance = random.Random(number)  # noqa: S311 # reproducible
    done = Counter({"refused": 0})
    slowest = 0.0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        try:
            job_id = yard.submit({"seed": 1}, label=f"App {number} {done['submitted']}")
            done["submitted"] += 1
            if chance.random() < 0.2:
                try:
                    jobs.cancel(database, job_id)
                    done["cancelled"] += 1
                except TransitionRefused:
                    done["too late to cancel"] += 1
            held = claims.claim(database, f"w{number}", 60)
            if held is not None:
                claims.heartbeat(database, held)
                stages.start(database, held, StageName.FETCH, "k" * 64, "x")
                stages.progress(database, held, StageName.FETCH, 0.5, "x")
                if chance.random() < 0.2:
                    claims.release(database, held, "x")
                    done["given back"] += 1
                else:
                    with database.write() as connection:
                        claims.finish(connection, held)
                    done["finished"] += 1
        except LeaseLost:
            done["lost"] += 1
        except (FarmError, *OUR_FAULTS) as error:
            print(error)  # noqa: T201 # into the workers' log
            done["refused"] += 1
        slowest = max(slowest, time.monotonic() - started)
    done["slowest milliseconds"] = round(1000 * slowest)
    (place / f"done-{number}").write_text(json.dumps(done))
