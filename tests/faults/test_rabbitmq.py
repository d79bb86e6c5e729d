"""The same workers on RabbitMQ: submit, wake-up, run; a restarted broker; begun jobs before new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db import outbox
from farm.stages import Queue
from farm.states import JobState
from tests.faults.fleet import Fleet
from tests.servers import PostgresServer, RabbitServer
from worker import broker

pytestmark = pytest.mark.skipif(
    not RabbitServer.PROGRAM.exists(), reason="Debian's rabbitmq-server is not installed; scripts/bootstrap tests does"
)


@pytest.fixture
def rabbitmq() -> Iterator[RabbitServer]:
    server = RabbitServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def fleet(tmp_path: Path, postgresql: PostgresServer, rabbitmq: RabbitServer) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "home", postgresql, rabbitmq)
    yield fleet
    fleet.close()


def test_jobs_run_before_and_after_the_broker_is_restarted(fleet, rabbitmq) -> None:
    """One test for all of it, since RabbitMQ takes seconds to start."""
    app = broker.connect(fleet.settings)
    with app.connection_for_write() as connection:
        for job_id, begun in (("new", False), ("begun", True)):
            broker.publish(app, connection, job_id, Queue.CONVERT, begun=begun)
        fleet.until(lambda: broker.messages(app, connection, Queue.CONVERT) == 2)
        queue = app.amqp.queues["convert"](connection.default_channel)
        assert [queue.get(no_ack=True).payload[0] for _ in range(2)] == [["begun"], ["new"]]

    fleet.start_relay()
    fleet.start_celery("convert")
    fleet.start_celery("android")
    job = fleet.wait(fleet.submit({"seed": 1}))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)

    rabbitmq.stop()
    job_id = fleet.submit({"seed": 2})
    assert [each.job_id for each in outbox.pending(fleet.database(), 10)] == [job_id]
    rabbitmq.start()
    job = fleet.wait(job_id, 60)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
