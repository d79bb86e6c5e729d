"""The farm at a glance: the queue, the workers, and what the metrics are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import stages, workers
from db.models import Attempt, Job, JobOwner, StageResultRow, Worker
from farm.stages import StageName
from farm.states import JobState


@dataclass(frozen=True)
class StageTimes:
    """How many results of a stage are on file, and the seconds that they took together."""

    stage: StageName
    count: int
    seconds: float


@dataclass(frozen=True)
class History:
    """What times are estimated from. typical: seconds of each stage in its latest runs; workers: how many there are."""

    typical: Mapping[StageName, float]
    workers: int = 1


@dataclass(frozen=True)
class BusyWorker:
    """A registered worker and the job that it holds. silent: see db.workers."""

    id: str
    process: str
    started_at: datetime
    job_id: str | None
    silent: bool


def jobs_by_state(connection: Connection, owner: str | None = None) -> dict[JobState, int]:
    """How many jobs (of that token) are in each state."""
    found = dict.fromkeys(JobState, 0)
    query = sa.select(Job.state, sa.func.count()).where(_of(owner)).group_by(Job.state)
    for state, count in connection.execute(query):
        found[JobState(state)] = count
    return found


def oldest_queued(connection: Connection, owner: str | None = None) -> datetime | None:
    """Since when the job (of that token) that waits longest is queued."""
    query = sa.select(Job.queued_at).where(Job.state == JobState.QUEUED.value).order_by(Job.queued_at).limit(1)
    return connection.scalar(query.where(_of(owner)))


def owned(connection: Connection, job_ids: Collection[str], owner: str | None) -> set[str]:
    """Which of these jobs are that token's; all for None."""
    return set(connection.scalars(sa.select(Job.id).where(Job.id.in_(job_ids), _of(owner))))


def stage_times(connection: Connection) -> list[StageTimes]:
    """For each stage that has ever run."""
    query = sa.select(StageResultRow.stage, sa.func.count(), sa.func.sum(StageResultRow.seconds))
    rows = connection.execute(query.group_by(StageResultRow.stage))
    return [StageTimes(StageName(stage), count, seconds or 0.0) for stage, count, seconds in rows]


def history(connection: Connection) -> History:
    """The latest runs of stages, and the workers that are there now: one where none is, since one will be started."""
    alive = connection.scalar(sa.select(sa.func.count()).select_from(Worker).where(~workers.silent(connection)))
    return History(stages.typical_seconds(connection), max(1, alive or 0))


def failures(connection: Connection) -> dict[str, int]:
    """How many attempts ended with each error's code, whether the job was tried again or not."""
    query = sa.select(Attempt.error_code, sa.func.count()).where(Attempt.error_code.is_not(None))
    return {code or "": count for code, count in connection.execute(query.group_by(Attempt.error_code))}


def busy_workers(connection: Connection) -> list[BusyWorker]:
    """Every registered worker with what it does."""
    running = sa.and_(Job.worker_id == Worker.id, Job.state == JobState.RUNNING.value)
    query = (
        sa.select(
            Worker.id,
            Worker.process,
            Worker.started_at,
            Job.id.label("job_id"),
            workers.silent(connection).label("silent"),
        )
        .outerjoin(Job, running)
        .order_by(Worker.started_at, Worker.id)
    )
    return [
        BusyWorker(row.id, row.process, row.started_at, row.job_id, bool(row.silent))
        for row in connection.execute(query)
    ]


def _of(owner: str | None) -> sa.ColumnElement[bool]:
    """Whether a job is that token's; any is for None."""
    if owner is None:
        return sa.true()
    return sa.exists().where(JobOwner.job_id == Job.id, JobOwner.token_id == owner)
