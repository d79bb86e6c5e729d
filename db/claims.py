"""Jobs as workers see them: claim one, keep the lease, give it back, end it.

Every change after the claim is conditional on the job's id and the attempt that the claim raised (the fence): a worker
that slept past its lease while another took the job over can change nothing any more and gets LeaseLost. Every such
change also renews the lease.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import events, jobs, outbox, tokens, workers
from db.events import EventKind
from db.models import Attempt, Job, JobOwner, JobStage
from db.session import Database, moment
from farm.errors import FarmError, WorkerLost
from farm.jobspec import FORMAT, JobSpec
from farm.stages import Queue
from farm.states import JobState, StageState

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
    """A job that a worker holds. attempt: the fence; counted_attempts: those that count, this one included.
    lease_seconds: how long the job stays this worker's after each change or heartbeat.
    """

    job_id: str
    attempt: int
    counted_attempts: int
    spec: JobSpec
    lease_seconds: float


def claim(
    database: Database,
    worker_id: str,
    lease_seconds: float,
    queues: Collection[Queue] = tuple(Queue),
    only: str | None = None,
    *,
    confines: bool = True,
) -> Claim | None:
    """Take the job that waits longest in these queues, or, with `only`, the one of that id; None when there is none.

    A job that a newer version of the farm made, and that this one could not do, is left to newer workers; one that
    needs a sandbox to workers that have one. confines: whether this one has.

    Of any number of workers at once one gets the job: each passes over what another has locked, and the change is
    conditional on the state.
    """
    waiting = _waiting(queues, only, confines=confines)
    if database.one_writer:
        # A look without a lock, so that an idle worker keeps nobody from writing.
        with database.read() as connection:
            if connection.scalar(_next(connection, waiting)) is None:
                return None
    with database.write() as connection:
        job_id = connection.scalar(_next(connection, waiting).with_for_update(skip_locked=True, of=Job))
        if job_id is None or not tokens.may_run(connection, job_id):
            return None
        started = moment(connection)
        row = connection.execute(
            sa.update(Job)
            .where(Job.id == job_id, Job.state == JobState.QUEUED.value)
            .values(
                state=JobState.RUNNING.value, attempt=Job.attempt + 1,
                counted_attempts=Job.counted_attempts + 1, worker_id=worker_id,
                lease_until=started + timedelta(seconds=lease_seconds),
                started_at=sa.func.coalesce(Job.started_at, sa.literal(started, Job.started_at.type)),
            )
            .returning(Job.attempt, Job.counted_attempts, Job.spec)
        ).one_or_none()  # fmt: skip
        if row is None:
            return None
        connection.execute(
            sa.insert(Attempt).values(
                job_id=job_id, number=row.attempt, worker_id=worker_id, started_at=started, counted=True
            )
        )
        events.append(connection, job_id, EventKind.CLAIMED, f"attempt {row.counted_attempts}")
        return Claim(job_id, row.attempt, row.counted_attempts, JobSpec.model_validate(row.spec), lease_seconds)


def hold(connection: Connection, held: Claim, **changes: Any) -> None:
    """Renew the lease, with further changes of the job's row; LeaseLost when the job is another's or has ended."""
    statement = _HOLD.values(changes) if changes else _HOLD
    lease_until = moment(connection) + timedelta(seconds=held.lease_seconds)
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


def release(database: Database, held: Claim, reason: str) -> None:
    """Queue the job again without charging the attempt: the worker was asked to stop."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        _end_attempt(connection, held.job_id, held.attempt, WorkerLost.code(), reason, counted=False)
        _requeue(connection, held.job_id, reason, counted_attempts=Job.counted_attempts - 1)


def requeue_for(database: Database, held: Claim, queue: Queue) -> None:
    """The next stage needs another kind of worker: the job waits for one, its stages as they are, no attempt
    counted."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        reason = f"goes on in the queue {queue}"
        _end_attempt(connection, held.job_id, held.attempt, None, reason, counted=False)
        _queue(connection, held.job_id, queue, counted_attempts=Job.counted_attempts - 1)
        events.append(connection, held.job_id, EventKind.HANDED_ON, reason)


def finish(connection: Connection, held: Claim) -> None:
    """The job has succeeded; part of the transaction that files its last artifact."""
    hold(connection, held, state=JobState.SUCCEEDED.value, finished_at=moment(connection))
    _end_attempt(connection, held.job_id, held.attempt, None, None, counted=True)
    events.append(connection, held.job_id, EventKind.SUCCEEDED, "done")


def cancelled(database: Database, held: Claim) -> None:
    """The job was stopped on request."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        _end_attempt(connection, held.job_id, held.attempt, None, "cancelled", counted=True)
        _cancel(connection, held.job_id)


def fail(database: Database, held: Claim, error: FarmError, max_attempts: int) -> JobState:
    """The attempt failed: queue the job again when that may help, else the job has failed. Returns the new state."""
    with database.write(durable=True) as connection:
        hold(connection, held)
        retry = error.retryable and held.counted_attempts < max_attempts
        return _end_badly(connection, held.job_id, held.attempt, error, retry=retry)


def requeue_lost(
    database: Database, dead_workers: Sequence[str], max_attempts: int, *, overdue: bool = True
) -> list[str]:
    """Free the jobs of these dead workers and, if `overdue`, those whose lease has run out. Returns their ids.

    A job with attempts left is queued again; one whose cancellation was asked for is cancelled; else it has failed.
    """
    with database.read() as connection:
        if connection.scalar(sa.select(Job.id).where(_lost(connection, dead_workers, overdue)).limit(1)) is None:
            return []
    with database.write(durable=True) as connection:
        rows = connection.execute(
            sa.select(Job.id, Job.attempt, Job.counted_attempts, Job.cancel_requested)
            .where(_lost(connection, dead_workers, overdue))
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            error = WorkerLost(
                f"The worker vanished in attempt {row.counted_attempts}; `farm retry` runs the job again."
            )
            if row.cancel_requested:
                _end_attempt(connection, row.id, row.attempt, WorkerLost.code(), error.sentence, counted=True)
                _cancel(connection, row.id)
            else:
                _end_badly(connection, row.id, row.attempt, error, retry=row.counted_attempts < max_attempts)
        return [row.id for row in rows]


def _lost(connection: Connection, dead_workers: Sequence[str], overdue: bool) -> sa.ColumnElement[bool]:
    gone: sa.ColumnElement[bool] = Job.worker_id.in_(dead_workers)
    if overdue:
        gone = sa.or_(gone, Job.lease_until < moment(connection))
    return sa.and_(Job.state == JobState.RUNNING.value, gone)


def _waiting(queues: Collection[Queue], only: str | None, *, confines: bool) -> sa.Select[str]:
    query = sa.select(Job.id).where(Job.state == JobState.QUEUED.value, workers.suits(FORMAT, confines=confines))
    query = query.order_by(Job.queued_at, Job.id).limit(1)
    if set(queues) != set(Queue):
        query = query.where(Job.queue.in_([queue.value for queue in queues]))
    return query if only is None else query.where(Job.id == only)


def _next(connection: Connection, waiting: sa.Select[str]) -> sa.Select[str]:
    """Of those that wait, one whose owner may have another job running."""
    busy = tokens.at_running_limit(connection)
    if not busy:
        return waiting
    held_back = sa.select(JobOwner.job_id).where(JobOwner.job_id == Job.id, JobOwner.token_id.in_(busy))
    return waiting.where(~held_back.exists())


def _end_badly(connection: Connection, job_id: str, attempt: int, error: FarmError, *, retry: bool) -> JobState:
    _end_attempt(connection, job_id, attempt, error.code(), error.sentence, counted=True)
    if retry:
        _requeue(connection, job_id, error.sentence)
        return JobState.QUEUED
    connection.execute(
        sa.update(Job)
        .where(Job.id == job_id)
        .values(
            state=JobState.FAILED.value,
            finished_at=moment(connection),
            error_code=error.code(),
            error_sentence=error.sentence,
        )
    )
    _stop_stage(connection, job_id)
    events.append(connection, job_id, EventKind.FAILED, error.sentence)
    return JobState.FAILED


def _stop_stage(connection: Connection, job_id: str) -> None:
    """A job that has ended has no stage that runs."""
    running = sa.and_(JobStage.job_id == job_id, JobStage.state == StageState.RUNNING.value)
    connection.execute(sa.update(JobStage).where(running).values(state=StageState.STOPPED.value, activity=""))


def _requeue(connection: Connection, job_id: str, reason: str, **changes: Any) -> None:
    # From the first queue: what was made before is found there by its key, and passed over in a moment.
    _queue(connection, job_id, Queue.CONVERT, **changes)
    jobs.reset_stages(connection, job_id)
    events.append(connection, job_id, EventKind.REQUEUED, reason)


def _queue(connection: Connection, job_id: str, queue: Queue, **changes: Any) -> None:
    connection.execute(
        sa.update(Job)
        .where(Job.id == job_id)
        .values(state=JobState.QUEUED.value, queue=queue.value, worker_id=None, lease_until=None, **changes)
    )
    outbox.announce(connection, job_id, queue, started=True)


def _cancel(connection: Connection, job_id: str) -> None:
    connection.execute(
        sa.update(Job).where(Job.id == job_id).values(state=JobState.CANCELLED.value, finished_at=moment(connection))
    )
    _stop_stage(connection, job_id)
    events.append(connection, job_id, EventKind.CANCELLED, "cancelled while it ran")


def _end_attempt(
    connection: Connection, job_id: str, attempt: int, code: str | None, reason: str | None, *, counted: bool
) -> None:
    connection.execute(
        sa.update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt)
        .values(ended_at=moment(connection), error_code=code, reason=reason, counted=counted)
    )
