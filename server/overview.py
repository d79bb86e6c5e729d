"""The queue and the workers as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.engine import Connection

from db import statistics
from db.session import now
from farm import identity
from farm.identity import ProcessIdentity
from farm.states import JobState


@dataclass(frozen=True)
class QueueView:
    """oldest_seconds: how long the next job has been waiting; 0 when none does."""

    queued: int
    running: int
    oldest_seconds: float


@dataclass(frozen=True)
class WorkerView:
    """A registered worker. dead: its process has ended, or it was not seen for minutes; its job will be freed."""

    id: str
    host: str
    started_at: datetime
    state: Literal["busy", "idle", "dead"]
    job_id: str | None


def queue_view(connection: Connection, owner: str | None) -> QueueView:
    """The queue now, as far as it is of that token's jobs."""
    states = statistics.jobs_by_state(connection, owner)
    oldest = statistics.oldest_queued(connection, owner)
    waits = max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0
    return QueueView(states[JobState.QUEUED], states[JobState.RUNNING], waits)


def worker_views(connection: Connection, owner: str | None) -> list[WorkerView]:
    """Every registered worker; for a token that sees only its own jobs, those that are at one of these."""
    views = [_worker_view(each) for each in statistics.busy_workers(connection)]
    if owner is None:
        return views
    own = statistics.owned(connection, [view.job_id for view in views if view.job_id], owner)
    return [view for view in views if view.job_id in own]


def _worker_view(worker: statistics.BusyWorker) -> WorkerView:
    process = ProcessIdentity.parse(worker.process)
    state: Literal["busy", "idle", "dead"] = "busy" if worker.job_id else "idle"
    if worker.silent or identity.known_dead(process):
        state = "dead"
    return WorkerView(worker.id, process.host, worker.started_at, state, worker.job_id)
