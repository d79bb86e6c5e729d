"""Celery workers on Redis and PostgreSQL: wake-ups, queues, and what happens when each part dies."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import kombu.serialization
import pytest
import sqlalchemy as sa

from db import jobs, outbox
from db.models import Event, Job
from farm import locations
from farm.errors import BrokerUnusable
from farm.stages import Queue
from farm.states import JobState
from tests.faults import soundness
from tests.faults.fleet import BOTH, Fleet, stop
from tests.faults.in_process import InProcess
from tests.faults.soundness import announced
from worker import broker


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
    fleet.start_celery(runner=InProcess())
    job = fleet.wait(fleet.submit({"seed": 1}))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert "handed-on" not in kinds(fleet, job.id)


def test_workers_of_one_machine_share_its_folder_and_grow_with_the_work(fleet) -> None:
    fleet.start_relay()
    for _ in range(2):
        fleet.start_celery(BOTH, 1, None, "--autoscale", "2,1")
    for number in range(4):
        fleet.submit({"seed": number, "check": ["sleep", 3.0]})

    def at_work() -> list[str]:
        with fleet.database().read() as connection:
            return list(connection.scalars(sa.select(Job.worker_id).where(Job.state == "running")))

    # Twice as many jobs as workers: each has grown from one job at a time to two.
    fleet.until(lambda: len(at_work()) == 4)
    assert sorted(at_work().count(worker) for worker in set(at_work())) == [2, 2]
    fleet.until(lambda: all_ended_well_once(fleet, 4))


def test_a_job_goes_from_a_convert_worker_to_an_android_worker(fleet) -> None:
    fleet.start_relay()
    fleet.start_celery("convert", runner=InProcess())
    job_id = fleet.submit({"seed": 1})
    fleet.until(lambda: "handed-on" in kinds(fleet, job_id))
    assert fleet.farm.job(job_id).state is JobState.QUEUED
    fleet.start_celery("android", runner=InProcess())
    job = fleet.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    assert {stage.state for stage in job.stages} == {"succeeded"}
    # No attempt is counted for the change of workers.
    assert job.attempt == 1
    with fleet.database().read() as connection:
        assert [each.counted for each in jobs.attempts(connection, job_id)] == [False, True]


@pytest.mark.goal(id="R8")
def test_redis_dies_again_and_again(make_fleet, trial) -> None:
    """Jobs keep coming while it is killed and started; at last it stays away for long."""
    fleet = make_fleet()
    kills, away = trial.size(2, 32), 60.0 if trial.full else 1.0
    fleet.start_relay()
    for _ in range(2):
        fleet.start_celery(runner=InProcess())
    count = 0
    for _ in range(kills):
        for _ in range(4):
            fleet.submit({"check": ["sleep", 0.2], "seed": count}, label=f"App {count}")
            count += 1
        time.sleep(trial.chance.uniform(0.0, 1.0))
        fleet.redis.stop(signal.SIGKILL)
        fleet.redis.start()
    fleet.redis.stop(signal.SIGKILL)
    fleet.submit({"seed": count}, label=f"App {count}")
    time.sleep(away)
    fleet.redis.start()
    began = time.monotonic()
    fleet.until(lambda: all_ended_well_once(fleet, 1 + count), 120)
    trial.measured(
        f"{kills} kills, away for {away:g} s: {1 + count} jobs, 0 lost, 0 twice; all done"
        f" {time.monotonic() - began:.0f} s after the last start"
    )


@pytest.mark.goal(id="R9")
def test_redis_is_emptied_with_jobs_queued(make_fleet, trial) -> None:
    """With the farm's own settings in the full form. The control has no sweeper: there they stay."""
    forgotten = 20.0 if trial.full else 1.0
    fleet = make_fleet(forgotten_seconds=3600.0)
    count = trial.size(10, 100)
    relay = fleet.start_relay()
    for number in range(count):
        fleet.submit({"seed": 1}, label=f"App {number}")
    fleet.until(lambda: announced(fleet) == 0)
    fleet.redis.client().flushall()
    fleet.start_celery(runner=InProcess())
    time.sleep(3.0)
    stranded = soundness.count(fleet, JobState.QUEUED)
    stop(relay)
    fleet.settings = fleet.settings.model_copy(update={"forgotten_seconds": forgotten})
    fleet.start_relay()
    began = time.monotonic()
    fleet.until(lambda: all_ended_well_once(fleet, count), 60)
    seconds = time.monotonic() - began
    trial.measured(f"{count} of {count} ran within {seconds:.0f} s; without the sweeper {stranded} were stranded")
    assert stranded == count


@pytest.mark.goal(id="R9")
def test_submitting_needs_no_broker(fleet, trial) -> None:
    """The wake-up waits in the outbox until the broker is back."""
    fleet.redis.stop()
    fleet.start_worker(runner=InProcess())
    count = trial.size(1, 20)
    ids = [fleet.submit({"seed": 1}, label=f"App {number}") for number in range(count)]
    assert [each.job_id for each in outbox.pending(fleet.database(), 100)] == ids
    fleet.redis.start()
    fleet.until(lambda: all_ended_well_once(fleet, count), 60)
    trial.measured(f"{count} submitted without Redis, {count} ran when it was back")


def test_a_wake_up_that_comes_many_times_runs_the_job_once(fleet) -> None:
    """R6's harm, made on purpose: the broker gives the same message to everyone."""
    app = broker.connect(fleet.settings)
    job_id = fleet.submit({"check": ["sleep", 1.0]})
    with app.connection_for_write() as connection:
        for _ in range(30):
            broker.publish(app, connection, job_id, Queue.CONVERT, begun=False)
    fleet.start_celery(threads=4, runner=InProcess())
    assert fleet.wait(job_id).state is JobState.SUCCEEDED
    assert kinds(fleet, job_id).count("claimed") == 1


@pytest.mark.goal(id="S6")
def test_a_pickled_message_is_not_executed(fleet, tmp_path, trial) -> None:
    """Beside it, a good one still arrives. The control takes pickle, and there it is."""
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
    fleet.start_celery(runner=InProcess())
    assert fleet.wait(job_id).state is JobState.SUCCEEDED
    executed = mark.exists()
    kind = "application/x-python-serialize"
    kombu.serialization.loads(pickle.dumps(Trap()), kind, "binary", accept=[kind])
    trial.measured(f"{int(executed)} of 2 executed; where pickle is taken the same message runs: {mark.exists()}")
    assert (executed, mark.exists()) == (False, True)


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
