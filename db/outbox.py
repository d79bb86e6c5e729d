"""Wake-ups on their way to the broker. A wake-up may be lost, doubled or late: the jobs' own rows are the truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db.models import Job, Outgoing
from db.session import Database, moment
from farm.stages import Queue
from farm.states import JobState


@dataclass(frozen=True)
class WakeUp:
    """A job that waits in a queue. started: some worker has had it before."""

    id: int
    job_id: str
    queue: Queue
    started: bool


def announce(connection: Connection, job_id: str, queue: Queue, *, started: bool = False) -> None:
    """The job waits in this queue; part of the transaction that makes it true. Nothing where there is no broker."""
    if connection.get_execution_options().get("farm_announcing"):
        connection.execute(sa.insert(Outgoing).values(job_id=job_id, queue=queue.value, started=started))
        connection.execute(sa.update(Job).where(Job.id == job_id).values(woken_at=moment(connection)))


def pending(database: Database, limit: int) -> list[WakeUp]:
    """What is to be published, the oldest first."""
    with database.read() as connection:
        rows = connection.execute(sa.select(Outgoing.__table__).order_by(Outgoing.id).limit(limit))
        return [WakeUp(row.id, row.job_id, Queue(row.queue), row.started) for row in rows]


def published(database: Database, wake_ups: Collection[WakeUp]) -> None:
    """These are with the broker."""
    if wake_ups:
        with database.write() as connection:
            connection.execute(sa.delete(Outgoing).where(Outgoing.id.in_([each.id for each in wake_ups])))


def waiting(connection: Connection) -> dict[Queue, int]:
    """How many jobs wait in each queue."""
    query = sa.select(Job.queue, sa.func.count()).where(Job.state == JobState.QUEUED.value).group_by(Job.queue)
    return dict.fromkeys(Queue, 0) | {Queue(queue): count for queue, count in connection.execute(query)}


def unpublished(connection: Connection) -> dict[Queue, int]:
    """How many wake-ups for each queue the broker has not got yet."""
    query = sa.select(Outgoing.queue, sa.func.count()).group_by(Outgoing.queue)
    return dict.fromkeys(Queue, 0) | {Queue(queue): count for queue, count in connection.execute(query)}


def announce_forgotten(database: Database, queues: Mapping[Queue, int], after_seconds: float) -> int:
    """Announce again jobs that are still queued so long after they were last announced; returns how many.

    queues: of each at most so many, the longest-waiting first.
    """
    with database.read() as connection:
        before = moment(connection) - timedelta(seconds=after_seconds)
    count = 0
    for queue, limit in queues.items():
        forgotten = (
            sa.select(Job.id, Job.attempt)
            .where(
                Job.state == JobState.QUEUED.value,
                Job.queue == queue.value,
                sa.func.coalesce(Job.woken_at, Job.queued_at, type_=Job.queued_at.type) < before,
            )
            .order_by(Job.queued_at, Job.id)
            .limit(limit)
        )
        with database.read() as connection:
            if connection.execute(forgotten.limit(1)).one_or_none() is None:
                continue
        with database.write() as connection:
            rows = connection.execute(forgotten.with_for_update(skip_locked=True)).all()
            for row in rows:
                announce(connection, row.id, queue, started=row.attempt > 0)
            count += len(rows)
    return count
