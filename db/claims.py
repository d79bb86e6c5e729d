"""Jobs as workers see them: claim one, keep the lease, give it back, end it.

Every change after the claim is conditional on the job's id and the attempt that the claim raised (the fence): a worker
that slept past its lease while another took the job over can change nothing any more and gets LeaseLost. Every such
change also renews the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import events, jobs, tokens
from db.events import EventKind
from db.models import Attempt, Job, JobOwner
from db.session import Database, now
from farm.errors import FarmError, WorkerLost
from farm.jobspec import JobSpec
from farm.states import JobState

# The fence. Built once: it is part of every write while a job runs.
_HOLD = (
    sa.update(Job)
    .where(
        Job.id == sa.bindparam("held_id"),
        Job.attempt == sa.bindparam("held_attempt"),
        Job.state == JobState.RUNNING.value,
    )
    .values(lease_until=sa.bindparam("lease_until"))
)


class LeaseLost(Exception):
    """The job is no longer this worker's: stop at once and touch nothing. Never shown to a user."""


@dataclass(frozen=True)
class Claim:
    """A job that a worker holds. attempt: the fence; charged: how many attempts count against the job, this included.

    lease_seconds: how long the job stays this worker's after each change or heartbeat.
    """

    job_id: str
    attempt: int
    charged: int
    spec: JobSpec
    lease_seconds: float


def claim(database: Database, worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the job that waits longest; None when there is none."""
    with database.read() as connection:
        # A look without a lock, so that an idle worker keeps nobody from writing.
        if _next_queued(connection) is None:
            return None
    with database.write() as connection:
        job_id = _next_queued(connection)
        if job_id is None:
            return None
        moment = now()
        changed = connection.execute(
            sa.update(Job)
            .where(Job.id == job_id, Job.state == JobState.QUEUED.value)
            .values(
                state=JobState.RUNNING.value, attempt=Job.attempt + 1, charged=Job.charged + 1, worker_id=worker_id,
                lease_until=moment + timedelta(seconds=lease_seconds),
                started_at=sa.func.coalesce(Job.started_at, sa.literal(moment, Job.started_at.type)),
            )
        )  # fmt: skip
        if changed.rowcount == 0:
            return None
        row = connection.execute(sa.select(Job.attempt, Job.charged, Job.spec).where(Job.id == job_id)).one()
        connection.execute(
            sa.insert(Attempt).values(
                job_id=job_id, number=row.attempt, worker_id=worker_id, started_at=moment, charged=True
            )
        )
        events.append(connection, job_id, EventKind.CLAIMED, f"attempt {row.charged}")
        return Claim(job_id, row.attempt, row.charged, JobSpec.model_validate(row.spec), lease_seconds)


def hold(connection: Connection, held: Claim, **changes: Any) -> None:
    """Renew the lease, with further changes of the job's row; LeaseLost when the job is another's or has ended."""
    statement = _HOLD.values(changes) if changes else _HOLD
    lease_until = now() + timedelta(seconds=held.lease_seconds)
    changed = connection.execute(
        statement, {"held_id": held.job_id, "held_attempt": held.attempt, "lease_until": lease_until}
    )
    if changed.rowcount != 1:
        raise LeaseLost(held.job_id)


def heartbeat(database: Database, held: Claim) -> bool:
    """Renew the lease; True when cancellation was asked for."""
    with database.write() as connection:
        hold(connection, held)
        return bool(connection.scalar(sa.select(Job.cancel_requested).where(Job.id == held.job_id)))


def cancel_requested(database: Database, held: Claim) -> bool:
    """Whether cancellation was asked for; LeaseLost when the job is another's. Reads only."""
    with database.read() as connection:
        row = connection.execute(
            sa.select(Job.cancel_requested).where(Job.id == held.job_id, Job.attempt == held.attempt)
        ).one_or_none()
    if row is None:
        raise LeaseLost(held.job_id)
    return bool(row.cancel_requested)


def give_back(database: Database, held: Claim, reason: str) -> None:
    """Queue the job again without charging the attempt: the worker was asked to stop."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        _end_attempt(connection, held.job_id, held.attempt, WorkerLost.code(), reason, charged=False)
        _requeue(connection, held.job_id, reason, charged=Job.charged - 1)


def finish(connection: Connection, held: Claim) -> None:
    """The job has succeeded; part of the transaction that files its last artifact."""
    hold(connection, held, state=JobState.SUCCEEDED.value, finished_at=now())
    _end_attempt(connection, held.job_id, held.attempt, None, None, charged=True)
    events.append(connection, held.job_id, EventKind.SUCCEEDED, "done")


def cancelled(database: Database, held: Claim) -> None:
    """The job was stopped on request."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        _end_attempt(connection, held.job_id, held.attempt, None, "cancelled", charged=True)
        _cancel(connection, held.job_id)


def fail(database: Database, held: Claim, error: FarmError, max_attempts: int) -> JobState:
    """The attempt failed: queue the job again when that may help, else the job has failed. Returns the new state."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        retry = error.retryable and held.charged < max_attempts
        return _end_badly(connection, held.job_id, held.attempt, error, retry=retry)


def requeue_lost(database: Database, dead_workers: Sequence[str], max_attempts: int) -> list[str]:
    """Free the jobs of these dead workers and those whose lease has run out. Returns their ids.

    A job with attempts left is queued again; one whose cancellation was asked for is cancelled; else it has failed.
    """
    lost = sa.and_(
        Job.state == JobState.RUNNING.value, sa.or_(Job.lease_until < now(), Job.worker_id.in_(dead_workers))
    )
    with database.read() as connection:
        if connection.scalar(sa.select(Job.id).where(lost).limit(1)) is None:
            return []
    with database.write(durable=True) as connection:
        rows = connection.execute(
            sa.select(Job.id, Job.attempt, Job.charged, Job.cancel_requested).where(lost).with_for_update()
        ).all()
        for row in rows:
            error = WorkerLost(f"The worker vanished in attempt {row.charged}; `farm retry` runs the job again.")
            if row.cancel_requested:
                _end_attempt(connection, row.id, row.attempt, WorkerLost.code(), error.sentence, charged=True)
                _cancel(connection, row.id)
            else:
                _end_badly(connection, row.id, row.attempt, error, retry=row.charged < max_attempts)
        return [row.id for row in rows]


def _next_queued(connection: Connection) -> str | None:
    query = sa.select(Job.id).where(Job.state == JobState.QUEUED.value).order_by(Job.queued_at, Job.id).limit(1)
    if busy := tokens.at_running_limit(connection):
        held_back = sa.select(JobOwner.job_id).where(JobOwner.job_id == Job.id, JobOwner.token_id.in_(busy))
        query = query.where(~held_back.exists())
    return connection.scalar(query.with_for_update(skip_locked=True))


def _end_badly(connection: Connection, job_id: str, attempt: int, error: FarmError, *, retry: bool) -> JobState:
    _end_attempt(connection, job_id, attempt, error.code(), error.sentence, charged=True)
    if retry:
        _requeue(connection, job_id, error.sentence)
        return JobState.QUEUED
    connection.execute(
        sa.update(Job)
        .where(Job.id == job_id)
        .values(state=JobState.FAILED.value, finished_at=now(), error_code=error.code(), error_sentence=error.sentence)
    )
    events.append(connection, job_id, EventKind.FAILED, error.sentence)
    return JobState.FAILED


def _requeue(connection: Connection, job_id: str, reason: str, **changes: Any) -> None:
    connection.execute(
        sa.update(Job)
        .where(Job.id == job_id)
        .values(state=JobState.QUEUED.value, worker_id=None, lease_until=None, **changes)
    )
    jobs.reset_stages(connection, job_id)
    events.append(connection, job_id, EventKind.REQUEUED, reason)


def _cancel(connection: Connection, job_id: str) -> None:
    connection.execute(sa.update(Job).where(Job.id == job_id).values(state=JobState.CANCELLED.value, finished_at=now()))
    events.append(connection, job_id, EventKind.CANCELLED, "cancelled while it ran")


def _end_attempt(
    connection: Connection, job_id: str, attempt: int, code: str | None, reason: str | None, *, charged: bool
) -> None:
    connection.execute(
        sa.update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt)
        .values(ended_at=now(), error_code=code, reason=reason, charged=charged)
    )
