"""What happened to a job, in order."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db.models import Event
from db.records import EventRecord
from db.session import now
from farm.stages import StageName


class EventKind(StrEnum):
    """Every kind of event."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    STAGE_STARTED = "stage-started"
    STAGE_SUCCEEDED = "stage-succeeded"
    STAGE_REUSED = "stage-reused"
    STAGE_SKIPPED = "stage-skipped"
    STAGE_FAILED = "stage-failed"
    REQUEUED = "requeued"
    CANCEL_REQUESTED = "cancel-requested"
    RETRIED = "retried"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_APPEND = sa.insert(Event)


def append(connection: Connection, job_id: str, kind: EventKind, message: str, stage: StageName | None = None) -> None:
    """Add an event; part of the transaction that makes it true."""
    connection.execute(
        _APPEND,
        {"job_id": job_id, "at": now(), "kind": kind.value, "stage": stage and stage.value, "message": message},
    )


def since(connection: Connection, job_id: str, after: int) -> list[EventRecord]:
    """The job's events with an id greater than `after`, in order."""
    rows = connection.execute(
        sa.select(Event.id, Event.at, Event.kind, Event.stage, Event.message)
        .where(Event.job_id == job_id, Event.id > after)
        .order_by(Event.id)
    )
    return [
        EventRecord(row.id, row.at, row.kind, StageName(row.stage) if row.stage else None, row.message) for row in rows
    ]
