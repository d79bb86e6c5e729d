"""What is kept, and the forgetting of what is not: jobs that ended long ago, and results that no kept job refers to.

A result is used and forgotten in transactions that exclude each other, see db.stages.succeed: a job that uses an
earlier result either refers to it before it is looked for here, or finds that it is gone and runs the stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import jobs, stages, uploads
from db.models import ArtifactRow, Job, JobStage, StageResultRow
from db.session import Database
from farm.artifacts import Artifact
from farm.errors import TransitionRefused
from farm.stages import STAGES
from farm.states import JobState


@dataclass(frozen=True)
class Expired:
    """Ids of jobs that ended before the moment of retention, and keys of results older than it that nobody needs."""

    jobs: tuple[str, ...]
    results: tuple[str, ...]


def expired(connection: Connection, before: datetime, *, lock: bool = False) -> Expired:
    """What would be forgotten. lock: for the transaction that forgets it; one that only reads must not."""
    old = sa.select(StageResultRow.key, StageResultRow.outputs).where(StageResultRow.created_at < before)
    # Locked before the jobs' artifacts are read: whoever uses one of these results has filed them by then, or waits.
    results = connection.execute(old.with_for_update() if lock else old).all()
    ended = list(connection.scalars(sa.select(Job.id).where(Job.finished_at < before).order_by(Job.finished_at)))
    going = set(ended)
    kept = {row.digest for row in connection.execute(sa.select(ArtifactRow.__table__)) if row.job_id not in going}
    unneeded = [row.key for row in results if not any(output["digest"] in kept for output in row.outputs)]
    return Expired(tuple(ended), tuple(unneeded))


def forget(database: Database, before: datetime) -> Expired:
    """Forget jobs that ended before that moment and results that are older and that no other job refers to."""
    with database.write(durable=True) as connection:
        found = expired(connection, before, lock=True)
        for table, column, gone in ((Job, Job.id, found.jobs), (StageResultRow, StageResultRow.key, found.results)):
            for one in gone:
                connection.execute(sa.delete(table).where(column == one))
    return found


def any_running(connection: Connection) -> bool:
    """Whether a job runs."""
    return connection.scalar(sa.select(Job.id).where(Job.state == JobState.RUNNING.value).limit(1)) is not None


def forget_jobs(database: Database, job_ids: Sequence[str]) -> Expired:
    """Forget these jobs and the results that only they refer to; TransitionRefused for one that has not ended.

    What depends on no job, such as the app without a model, stays for the next one.
    """
    shared = [stage.name.value for stage in STAGES if not stage.inputs and not stage.spec_fields]
    of_these = JobStage.job_id.in_(job_ids)
    with database.write(durable=True) as connection:
        rows = connection.execute(sa.select(Job.id, Job.state).where(Job.id.in_(job_ids)).with_for_update()).all()
        for row in rows:
            if not JobState(row.state).terminal:
                raise TransitionRefused(f"Job {row.id} is {row.state}; end it first with: farm cancel {row.id}")
        keys = sa.select(JobStage.key).where(of_these, JobStage.key.is_not(None), JobStage.name.not_in(shared))
        others = sa.select(JobStage.key).where(~of_these, JobStage.key.is_not(None))
        needed = set(connection.scalars(others))
        unneeded = sorted({str(key) for key in connection.scalars(keys) if key not in needed})
        connection.execute(sa.delete(Job).where(Job.id.in_(job_ids)))
        connection.execute(sa.delete(StageResultRow).where(StageResultRow.key.in_(unneeded)))
    return Expired(tuple(row.id for row in rows), tuple(unneeded))


def referenced(connection: Connection, without: Expired | None = None) -> list[Artifact]:
    """Every artifact that a job, a result or an upload refers to, but for those `without` that are to be forgotten."""
    jobs_gone, results_gone = (set(without.jobs), set(without.results)) if without else (set(), set())
    made = stages.outputs_by_key(connection)
    return [
        *jobs.all_artifacts(connection, jobs_gone),
        *(artifact for key, outputs in made.items() if key not in results_gone for artifact in outputs),
        *uploads.kept(connection),
    ]
