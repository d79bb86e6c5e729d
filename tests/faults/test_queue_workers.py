"""Celery workers on Redis and PostgreSQL: wake-ups, queues, and what happens when each part dies."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import jobs, outbox
from db.models import Event, Job
from farm import locations
from farm.errors import BrokerUnusable
from farm.stages import Queue
from farm.states import JobState
from tests.faults.fleet import Fleet, stop
from tests.servers import PostgresServer, RedisServer
from worker import broker

# How many workers are killed; 117 for the full figure.
KILLS = int(os.environ.get("FARM_FAULT_KILLS", "4"))


@pytest.fixture
def make_fleet(tmp_path: Path, postgresql: PostgresServer, redis_server: RedisServer) -> Iterator[Callable[..., Fleet]]:
    fleets: list[Fleet] = []

    def make(**changes: object) -> Fleet:
        fleets.append(Fleet(tmp_path / "home", postgresql, redis_server, **changes))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet()


def kinds(fleet: Fleet, job_id: str) -> list[str]:
    return [event.kind for event in fleet.farm.events(job_id)]


def all_ended_well_once(fleet: Fleet, count: int) -> bool:
    """Every job has succeeded, each with one event that says so."""
    with fleet.database().read() as connection:
        states = list(connection.scalars(sa.select(Job.state)))
        succeeded = list(connection.scalars(sa.select(Event.job_id).where(Event.kind == "succeeded")))
    return states == ["succeeded"] * count and len(set(succeeded)) == len(succeeded) == count


def test_a_worker_with_both_queues_does_all_in_one_go(fleet) -> None:
    fleet.start_relay()
    fleet.start_celery()
    job = fleet.wait(fleet.submit({"seed": 1}))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert "handed-on" not in kinds(fleet, job.id)


def test_a_job_goes_from_a_convert_worker_to_an_android_worker(fleet) -> None:
    fleet.start_relay()
    fleet.start_celery("convert")
    job_id = fleet.submit({"seed": 1})
    fleet.until(lambda: "handed-on" in kinds(fleet, job_id))
    assert fleet.farm.job(job_id).state is JobState.QUEUED
    fleet.start_celery("android")
    job = fleet.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    assert {stage.state for stage in job.stages} == {"succeeded"}
    # Nothing is charged for the change of workers.
    assert job.attempt == 1
    with fleet.database().read() as connection:
        assert [each.charged for each in jobs.attempts(connection, job_id)] == [False, True]


def test_a_worker_that_is_asked_to_stop_gives_its_job_back_uncharged(fleet) -> None:
    """R14 in small."""
    fleet.start_relay()
    worker = fleet.start_celery()
    job_id = fleet.submit({"check": ["sleep", 60]})
    fleet.until(lambda: fleet.farm.job(job_id).stages[1].doing == "sleeping")
    started = time.monotonic()
    assert stop(worker) == 0
    assert time.monotonic() - started < fleet.settings.grace_seconds + 5
    job = fleet.farm.job(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    fleet.farm.cancel(job_id)


def test_killed_workers_lose_nothing_and_make_nothing_twice(make_fleet) -> None:
    """R2 and R7; every fourth time the broker forgets everything (R9), and every fourth it is killed (R8)."""
    fleet = make_fleet(max_attempts=1000)
    chance = random.Random(20262)  # noqa: S311 # reproducible
    fleet.start_relay()
    count = 5 * KILLS
    workers = [fleet.start_celery(), fleet.start_celery()]
    for number in range(count):
        fleet.submit({"seed": number % 4}, label=f"App {number}")
    for kill in range(KILLS):
        time.sleep(chance.uniform(1.0, 3.0))
        place = chance.randrange(2)
        workers[place].kill()
        workers[place].wait()
        workers[place] = fleet.start_celery()
        if kill % 4 == 1:
            fleet.redis.client().flushall()
        if kill % 4 == 2:
            fleet.redis.stop(signal.SIGKILL)
            fleet.redis.start()
    fleet.until(lambda: all_ended_well_once(fleet, count), 60 + 5 * KILLS)


def test_the_database_is_restarted_in_mid_job(fleet) -> None:
    """R3 in small."""
    fleet.start_relay()
    fleet.start_celery()
    job_id = fleet.submit({"check": ["sleep", 2.0]})
    fleet.until(lambda: fleet.farm.job(job_id).stages[1].doing == "sleeping")
    fleet.postgresql.stop()
    fleet.postgresql.start()
    assert fleet.wait(job_id, 60).state is JobState.SUCCEEDED
    assert kinds(fleet, job_id).count("succeeded") == 1


def test_submitting_needs_no_broker(fleet) -> None:
    """R9: the wake-up waits in the outbox until the broker is back."""
    fleet.redis.stop()
    fleet.start_relay()
    fleet.start_celery()
    job_id = fleet.submit({"seed": 1})
    assert [each.job_id for each in outbox.pending(fleet.database(), 10)] == [job_id]
    fleet.redis.start()
    assert fleet.wait(job_id, 60).state is JobState.SUCCEEDED


def test_without_the_sweeper_a_forgetful_broker_strands_jobs(make_fleet) -> None:
    """The control of the sweeper: the same loss, with nobody who looks for it, and then with."""
    fleet = make_fleet(forgotten_seconds=3600.0)
    relay = fleet.start_relay()
    job_id = fleet.submit({"seed": 1})
    fleet.until(lambda: outbox.pending(fleet.database(), 1) == [])
    fleet.redis.client().flushall()
    fleet.start_celery()
    time.sleep(6.0)
    assert fleet.farm.job(job_id).state is JobState.QUEUED
    stop(relay)
    fleet.settings = fleet.settings.model_copy(update={"forgotten_seconds": 1.0})
    fleet.start_relay()
    assert fleet.wait(job_id).state is JobState.SUCCEEDED


def test_a_wake_up_that_comes_many_times_runs_the_job_once(fleet) -> None:
    """R6's harm, made on purpose: the broker gives the same message to everyone."""
    app = broker.connect(fleet.settings)
    job_id = fleet.submit({"check": ["sleep", 1.0]})
    with app.connection_for_write() as connection:
        for _ in range(30):
            broker.publish(app, connection, job_id, Queue.CONVERT, begun=False)
    fleet.start_celery(threads=4)
    assert fleet.wait(job_id).state is JobState.SUCCEEDED
    assert kinds(fleet, job_id).count("claimed") == 1


def test_a_pickled_message_is_not_executed(fleet, tmp_path) -> None:
    """S6: beside it, a good one still arrives."""
    mark = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (mark,)

    app = broker.connect(fleet.settings)
    with app.connection_for_write() as connection, connection.channel() as channel:
        producer = app.amqp.Producer(channel)
        for headers in ({"task": broker.WAKE_UP, "id": "1", "lang": "py"}, {}):
            producer.publish(
                pickle.dumps(Trap()), content_type="application/x-python-serialize", content_encoding="binary",
                headers=headers, routing_key=Queue.CONVERT.value, exchange="", declare=[app.amqp.queues["convert"]],
            )  # fmt: skip
        job_id = fleet.submit({"seed": 1})
        broker.publish(app, connection, job_id, Queue.CONVERT, begun=False)
    fleet.start_celery()
    assert fleet.wait(job_id).state is JobState.SUCCEEDED
    assert not mark.exists()


def test_messages_hold_a_jobs_id_and_nothing_else(fleet) -> None:
    app = broker.connect(fleet.settings)
    job_id = fleet.submit({"seed": 1})
    with app.connection_for_write() as connection:
        broker.publish(app, connection, job_id, Queue.ANDROID, begun=True)
        assert broker.messages(app, connection, Queue.ANDROID) == 1
        assert broker.messages(app, connection, Queue.CONVERT) == 0
        message = connection.default_channel.basic_get("android", no_ack=True)
    assert message.content_type == "application/json"
    assert json.loads(message.body)[:2] == [[job_id], {}]


def test_a_broker_that_is_not_there_is_told_in_a_sentence(fleet) -> None:
    fleet.redis.stop()
    app = broker.connect(fleet.settings)
    with pytest.raises(BrokerUnusable, match="check FARM_BROKER_URL"), app.connection_for_write() as connection:
        broker.publish(app, connection, "a", Queue.CONVERT, begun=False)


def test_no_pool_forks_around_the_supervisor(fleet) -> None:
    """By the real entry point, as people start it."""
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "-Q", "convert", "--pool=processes"],
        cwd=locations.ROOT,
        env={**os.environ, "FARM_HOME": str(fleet.settings.home), "FARM_BROKER_URL": fleet.redis.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "start the worker with --pool=threads or solo" in ended.stderr


def test_the_entry_point_needs_a_broker(tmp_path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FARM_")}
    ended = subprocess.run(
        [sys.executable, "-c", "import worker.celery_app"],
        cwd=locations.ROOT,
        env=environment | {"FARM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "set FARM_BROKER_URL" in ended.stderr
