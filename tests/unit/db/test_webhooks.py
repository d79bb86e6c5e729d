"""Deliveries are taken one at a time, each by one sender, and their tries are counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db import jobs, webhooks
from db.session import Database
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import STAGES

ADDRESS, SECRET = "https://example.org/told", "a secret"
Ended = Callable[[str], str]


@pytest.fixture
def ended(database: Database) -> Ended:
    """Submits a job of that model with a webhook, and ends it."""

    def make(model: str) -> str:
        job = submit(database, model)
        jobs.cancel(database, job)
        return job

    return make


def submit(database: Database, model: str) -> str:
    spec = JobSpec(model_kind=ModelKind.PRESET, model=model)
    made = jobs.submit(database, spec, spec.key(model), [stage.name for stage in STAGES], lambda _artifacts: True)
    with database.write() as connection:
        webhooks.add(connection, made.job_id, ADDRESS, SECRET)
    return made.job_id


def test_taking_it_counts_as_one_try_and_holds_it(database: Database, ended: Ended) -> None:
    job = ended("one")
    taken = webhooks.take_due(database, busy_seconds=600)
    assert taken is not None
    assert (taken.job_id, taken.url, taken.secret, taken.tries) == (job, ADDRESS, SECRET, 1)
    assert webhooks.take_due(database, busy_seconds=600) is None


def test_a_sender_that_died_leaves_it_to_the_next(database: Database, ended: Ended) -> None:
    ended("one")
    tries = []
    for _ in range(3):
        taken = webhooks.take_due(database, busy_seconds=0)
        assert taken is not None
        tries.append(taken.tries)
    assert tries == [1, 2, 3]


def test_what_was_never_tried_goes_first(database: Database, ended: Ended) -> None:
    first, second = ended("one"), ended("two")
    taken = [webhooks.take_due(database, busy_seconds=0) for _ in range(2)]
    assert [one.job_id for one in taken if one] == [first, second]


def test_a_job_that_has_not_ended_is_not_told_of(database: Database) -> None:
    submit(database, "one")
    assert webhooks.take_due(database, busy_seconds=600) is None
