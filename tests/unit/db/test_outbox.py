"""Wake-ups: written with the change, published once or more, announced again when nobody came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from db import claims, jobs, outbox
from db.models import Job
from db.session import Database, now
from farm.errors import QuotaExceeded, StageCrashed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import Queue, StageName


@pytest.fixture
def announcing(database: Database) -> Iterator[Database]:
    yield Database(database.engine, announcing=True)


def submit(database: Database, model: str = "gpt2", refuse: bool = False) -> str:
    def also(*_: object) -> None:
        if refuse:
            raise QuotaExceeded("No more.")

    spec = JobSpec(model_kind=ModelKind.PRESET, model=model)
    return jobs.submit(database, spec, spec.key("code"), [StageName.FETCH], lambda _: True, also).job_id


def waits(database: Database) -> list[tuple[str, Queue, bool]]:
    """What is in the outbox; it is emptied."""
    found = outbox.pending(database, 100)
    outbox.published(database, found)
    return [(each.job_id, each.queue, each.started) for each in found]


def test_the_embedded_farm_has_an_empty_outbox(database: Database) -> None:
    submit(database)
    assert waits(database) == []


def test_submit_announces_in_its_own_transaction(announcing: Database) -> None:
    job_id = submit(announcing)
    with pytest.raises(QuotaExceeded):
        submit(announcing, "another", refuse=True)
    assert waits(announcing) == [(job_id, Queue.CONVERT, False)]
    # An identical job is already there, and was announced.
    assert submit(announcing) == job_id
    assert waits(announcing) == []


@pytest.mark.parametrize("ending", ["release", "fail", "lost", "requeue_for", "retry"])
def test_every_way_back_into_the_queue_is_announced(announcing: Database, ending: str) -> None:
    job_id = submit(announcing)
    waits(announcing)
    held = claims.claim(announcing, "w", -1.0)
    assert held is not None
    expected = (job_id, Queue.CONVERT, True)
    match ending:
        case "release":
            claims.release(announcing, held, "x")
        case "fail":
            claims.fail(announcing, held, StageCrashed("x"), 3)
        case "lost":
            assert claims.requeue_lost(announcing, [], 3) == [job_id]
        case "requeue_for":
            claims.requeue_for(announcing, held, Queue.ANDROID)
            expected = (job_id, Queue.ANDROID, True)
        case "retry":
            claims.cancelled(announcing, held)
            assert waits(announcing) == []
            jobs.retry(announcing, job_id)
            expected = (job_id, Queue.CONVERT, False)
    assert waits(announcing) == [expected]


def test_a_job_waits_in_one_queue_for_one_kind_of_worker(announcing: Database) -> None:
    job_id = submit(announcing)
    assert claims.claim(announcing, "w", 60, [Queue.ANDROID]) is None
    held = claims.claim(announcing, "w", 60, [Queue.CONVERT])
    assert held is not None
    claims.requeue_for(announcing, held, Queue.ANDROID)
    with announcing.read() as connection:
        assert outbox.waiting(connection) == {Queue.ANDROID: 1, Queue.CONVERT: 0}
        assert sum(outbox.unpublished(connection).values()) == len(outbox.pending(announcing, 10))
    assert claims.claim(announcing, "w", 60, [Queue.CONVERT]) is None
    again = claims.claim(announcing, "w", 60, [Queue.ANDROID])
    assert again is not None
    assert (again.job_id, again.attempt, again.counted_attempts) == (job_id, 2, 1)


def test_only_the_named_job_is_claimed(announcing: Database) -> None:
    first, second = submit(announcing, "one"), submit(announcing, "two")
    held = claims.claim(announcing, "w", 60, only=second)
    assert held is not None
    assert held.job_id == second
    assert claims.claim(announcing, "w", 60, only=second) is None
    assert claims.claim(announcing, "w", 60, only="unknown") is None
    next_one = claims.claim(announcing, "w", 60)
    assert next_one is not None
    assert next_one.job_id == first


def test_what_nobody_came_for_is_announced_again_once_in_a_while(announcing: Database) -> None:
    old = submit(announcing, "one")
    submit(announcing, "two")
    waits(announcing)
    with announcing.write() as connection:
        connection.execute(sa.update(Job).where(Job.id == old).values(woken_at=now() - timedelta(seconds=30)))
    assert outbox.announce_forgotten(announcing, {Queue.ANDROID: 9}, 20) == 0
    assert outbox.announce_forgotten(announcing, {Queue.CONVERT: 9}, 20) == 1
    assert outbox.announce_forgotten(announcing, {Queue.CONVERT: 9}, 20) == 0
    assert waits(announcing) == [(old, Queue.CONVERT, False)]
    assert outbox.announce_forgotten(announcing, {Queue.CONVERT: 1}, -1) == 1
    assert [job_id for job_id, _, _ in waits(announcing)] == [old]
