"""A migration while workers run: who runs goes on, who starts too late says so."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from farm.errors import DatabaseUnusable
from farm.states import JobState
from worker.sandbox import Bubblewrap


def test_a_worker_goes_on_while_the_database_becomes_newer(yard) -> None:
    yard.start_worker()
    job_id = yard.submit({"check": ["sleep", 1.0]})
    yard.until(lambda: yard.farm.job(job_id).stages[1].activity == "sleeping")
    database = yard.database()
    with database.write() as connection:
        # As a migration may: it only adds, see tests/unit/db/test_session.py.
        connection.execute(sa.text("ALTER TABLE jobs ADD COLUMN later TEXT"))
        connection.execute(sa.text("CREATE TABLE other (id INTEGER PRIMARY KEY)"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    job = yard.wait(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    with pytest.raises(DatabaseUnusable, match="newer version of the farm"):
        yard.serve()


def test_a_worker_without_a_sandbox_leaves_a_job_that_needs_one(yard, make_yard) -> None:
    """It does what needs none, and does not stay for what it can't do."""
    asking = make_yard(yard.settings.home, sandbox="required")
    needs, free = asking.submit(), yard.submit(label="Free")
    worker = yard.start_worker(idle_seconds=0.0)
    assert worker.wait(30) == 0
    assert yard.farm.job(free).state is JobState.SUCCEEDED
    waiting = asking.farm.job(needs)
    assert (waiting.state, waiting.attempt) == (JobState.QUEUED, 0)
    asking.serve(Bubblewrap())
    assert asking.farm.job(needs).state is JobState.SUCCEEDED
