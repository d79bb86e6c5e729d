"""A migration while workers run: who runs goes on, who starts too late says so."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from farm.errors import DatabaseUnusable
from farm.states import JobState


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
