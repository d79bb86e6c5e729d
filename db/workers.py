"""The workers that are registered. A row whose process is dead is one that was killed.

On its own machine a dead process is known at once. Elsewhere a worker that was not seen for a while, and holds no job
by a valid lease either, is taken for dead; should it live after all, it registers again.

A job is not every worker's: one of a newer version's format waits for a newer worker, one that needs a sandbox for a
worker that has one (`suits`). A worker that can't do what waits does not stay for it, and keeps nobody from starting
another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import aliased

from db.models import Job, Worker
from db.records import WorkerRecord
from db.session import WORKERS, Database, moment, take_turns
from farm.jobspec import FORMAT
from farm.settings import SandboxMode
from farm.states import JobState

# A worker says every so often that it is there, and is taken for dead after such a silence. Both in seconds.
SEEN_SECONDS = 15.0
SILENT_SECONDS = 180.0


def suits(newest: int, *, confines: bool) -> sa.ColumnElement[bool]:
    """Whether a job is one for a worker that can do formats up to `newest`, with a sandbox or without."""
    known = Job.format <= newest
    return known if confines else sa.and_(known, Job.sandbox != SandboxMode.REQUIRED.value)


def register(database: Database, worker_id: str, process: str, *, confines: bool = True) -> None:
    """The worker is there; of one that was registered by who started it, what it can do is set right."""
    with database.write() as connection:
        mine = sa.update(Worker).where(Worker.id == worker_id).values(format=FORMAT, confines=confines)
        if connection.execute(mine).rowcount == 0:
            _insert(connection, worker_id, process, confines=confines)


def seen(database: Database, worker_id: str, process: str, *, confines: bool = True) -> None:
    """The worker is there still."""
    with database.write() as connection:
        mine = sa.update(Worker).where(Worker.id == worker_id).values(seen_at=moment(connection))
        if connection.execute(mine).rowcount == 0:
            _insert(connection, worker_id, process, confines=confines)


def leave(database: Database, worker_id: str) -> None:
    """The worker goes, whatever is queued."""
    with database.write() as connection:
        connection.execute(sa.delete(Worker).where(Worker.id == worker_id))


def leave_if_idle(database: Database, worker_id: str, *, confines: bool = True) -> bool:
    """The worker goes unless a job is queued that it can do.

    One transaction, so a submit comes either before it, and the worker stays, or after it, and whoever submitted
    finds no worker and starts one.
    """
    with database.write() as connection:
        take_turns(connection, WORKERS)
        waiting = sa.select(Job.id).where(Job.state == JobState.QUEUED.value, suits(FORMAT, confines=confines))
        if connection.scalar(waiting.limit(1)) is not None:
            return False
        connection.execute(sa.delete(Worker).where(Worker.id == worker_id))
        return True


def registered(connection: Connection) -> list[WorkerRecord]:
    """Every registered worker, dead or alive."""
    rows = connection.execute(
        sa.select(Worker.__table__, silent(connection).label("silent")).order_by(Worker.started_at)
    )
    return [
        WorkerRecord(row.id, row.process, row.started_at, bool(row.silent), row.format, row.confines) for row in rows
    ]


def silent(connection: Connection) -> sa.ColumnElement[bool]:
    """Whether a worker was not seen for too long; while it runs a job, its lease is what tells that it lives."""
    current = moment(connection)
    # By another name, since whoever asks may look at jobs too.
    job = aliased(Job)
    running = sa.and_(job.worker_id == Worker.id, job.state == JobState.RUNNING.value, job.lease_until >= current)
    # A worker of a version that did not say when it was there is none of those.
    return sa.and_(
        sa.func.coalesce(Worker.seen_at, current, type_=Worker.seen_at.type)
        < current - timedelta(seconds=SILENT_SECONDS),
        ~sa.select(job.id).where(running).exists(),
    )


def remove(database: Database, worker_ids: Sequence[str]) -> None:
    """Forget workers that are known to be dead."""
    if worker_ids:
        with database.write() as connection:
            connection.execute(sa.delete(Worker).where(Worker.id.in_(worker_ids)))


def start_unless_alive(
    database: Database,
    worker_id: str,
    alive: Callable[[str], bool],
    start: Callable[[], str],
    *,
    confines: bool = True,
) -> bool:
    """Start a worker and register it, unless each job that waits or runs has one alive that can do it; True when
    started.

    `alive` tells of a process's identity whether it lives; `start` starts one and returns its identity. confines:
    whether the new one is to have a sandbox. All in one write transaction, so that of any number of callers one
    starts a worker.
    """
    if database.one_writer:
        # A look without a lock; where others write beside, a worker that is about to leave would still be seen.
        with database.read() as connection:
            if not _wanted(connection, alive, confines=confines):
                return False
    with database.write() as connection:
        take_turns(connection, WORKERS)
        if not _wanted(connection, alive, confines=confines):
            return False
        _insert(connection, worker_id, start(), confines=confines)
        return True


def _wanted(connection: Connection, alive: Callable[[str], bool], *, confines: bool) -> bool:
    unended = Job.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
    kinds = sa.select(Job.format, Job.sandbox).where(unended, suits(FORMAT, confines=confines)).distinct()
    waiting = connection.execute(kinds).all()
    living = [worker for worker in registered(connection) if alive(worker.process)] if waiting else []
    return any(not any(worker.suits(job.format, SandboxMode(job.sandbox)) for worker in living) for job in waiting)


def _insert(connection: Connection, worker_id: str, process: str, *, confines: bool) -> None:
    current = moment(connection)
    row = {"id": worker_id, "process": process, "started_at": current, "seen_at": current}
    connection.execute(sa.insert(Worker).values(**row, format=FORMAT, confines=confines))
