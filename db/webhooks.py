"""Who is to hear of a job's end, and which deliveries are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db.models import Job, Webhook
from db.session import Database, now
from farm.states import JobState

_ENDED = [state.value for state in JobState if state.terminal]


@dataclass(frozen=True)
class DueWebhook:
    """A delivery that this process has taken on. tries: this one included."""

    id: int
    job_id: str
    url: str
    secret: str
    tries: int


def add(connection: Connection, job_id: str, url: str, secret: str) -> None:
    """Tell this address of the job's end; part of the transaction that submits the job."""
    connection.execute(
        sa.insert(Webhook).values(job_id=job_id, url=url, secret=secret, tries=0, next_at=now(), delivered=False)
    )


def take_due(database: Database, busy_seconds: float) -> DueWebhook | None:
    """The delivery that waits longest for its time, of a job that has ended; None when there is none.

    It is this process's for `busy_seconds`: after a crash in mid-delivery it is due again.
    """
    due = (
        sa.select(Webhook.id, Webhook.job_id, Webhook.url, Webhook.secret, Webhook.tries, Webhook.next_at)
        .join(Job, Job.id == Webhook.job_id)
        .where(Webhook.next_at <= now(), Job.state.in_(_ENDED))
        .order_by(Webhook.next_at)
        .limit(1)
    )
    with database.read() as connection:
        if connection.execute(due).one_or_none() is None:
            return None
    with database.write() as connection:
        row = connection.execute(due.with_for_update(skip_locked=True, of=Webhook)).one_or_none()
        if row is None:
            return None
        connection.execute(
            sa.update(Webhook)
            .where(Webhook.id == row.id)
            .values(tries=row.tries + 1, next_at=now() + timedelta(seconds=busy_seconds))
        )
        return DueWebhook(row.id, row.job_id, row.url, row.secret, row.tries + 1)


def end(database: Database, webhook_id: int, outcome: str, *, delivered: bool) -> None:
    """The delivery has succeeded, or is given up; the secret is erased."""
    _change(database, webhook_id, next_at=None, secret=None, outcome=outcome, delivered=delivered)


def postpone(database: Database, webhook_id: int, outcome: str, until: datetime) -> None:
    """The delivery failed and is tried again then."""
    _change(database, webhook_id, next_at=until, outcome=outcome)


def _change(database: Database, webhook_id: int, **values: object) -> None:
    with database.write() as connection:
        connection.execute(sa.update(Webhook).where(Webhook.id == webhook_id).values(values))
