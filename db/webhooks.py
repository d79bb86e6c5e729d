"""Who is to hear of a job's end, and which deliveries are due."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db.models import Job, JobOwner, Webhook
from db.session import Database, moment
from farm.access import TokenView
from farm.errors import QuotaExceeded
from farm.states import JobState

_ENDED = [state.value for state in JobState if state.terminal]


@dataclass(frozen=True)
class DueWebhook:
    """A delivery that this process has taken on. tries: this one included. token_id: whose job it is, if anybody's."""

    id: int
    job_id: str
    url: str
    secret: str
    tries: int
    token_id: str | None = None


def add(connection: Connection, job_id: str, url: str, secret: str) -> None:
    """Tell this address of the job's end; part of the transaction that submits the job."""
    connection.execute(
        sa.insert(Webhook).values(
            job_id=job_id, url=url, secret=secret, tries=0, next_at=moment(connection), delivered=False
        )
    )


def require_room(connection: Connection, token: TokenView, most: int) -> None:
    """QuotaExceeded when so many deliveries of the token's jobs have not ended."""
    query = sa.select(sa.func.count()).select_from(Webhook).join(JobOwner, JobOwner.job_id == Webhook.job_id)
    waiting = connection.scalar(query.where(JobOwner.token_id == token.id, Webhook.next_at.is_not(None))) or 0
    if waiting >= most:
        raise QuotaExceeded(f"The token {token.name} has {waiting} webhooks that wait; leave the webhook out or wait.")


def take_due(database: Database, busy_seconds: float, without: Collection[str] = ()) -> DueWebhook | None:
    """The delivery that waits longest for its time, of a job that has ended; None when there is none.

    Those that were never tried go first: a receiver that fails again and again keeps no other waiting. without: tokens
    that have as many deliveries under way as they may.
    It is this process's for `busy_seconds`: after a crash in mid-delivery it is due again.
    """
    with database.read() as connection:
        if connection.execute(_due(connection, without)).one_or_none() is None:
            return None
    with database.write() as connection:
        due = _due(connection, without).with_for_update(skip_locked=True, of=Webhook)
        row = connection.execute(due).one_or_none()
        if row is None:
            return None
        connection.execute(
            sa.update(Webhook)
            .where(Webhook.id == row.id)
            .values(tries=row.tries + 1, next_at=moment(connection) + timedelta(seconds=busy_seconds))
        )
        return DueWebhook(row.id, row.job_id, row.url, row.secret, row.tries + 1, row.token_id)


def end(database: Database, webhook_id: int, outcome: str, *, delivered: bool) -> None:
    """The delivery has succeeded, or is given up; the secret is erased."""
    _change(database, webhook_id, next_at=None, secret=None, outcome=outcome, delivered=delivered)


def postpone(database: Database, webhook_id: int, outcome: str, seconds: float) -> None:
    """The delivery failed and is tried again after so many seconds."""
    _change(database, webhook_id, seconds, outcome=outcome)


def _due(connection: Connection, without: Collection[str]) -> sa.Select[*tuple[Any, ...]]:
    query = (
        sa.select(
            Webhook.id, Webhook.job_id, Webhook.url, Webhook.secret, Webhook.tries, Webhook.next_at, JobOwner.token_id
        )
        .join(Job, Job.id == Webhook.job_id)
        .outerjoin(JobOwner, JobOwner.job_id == Webhook.job_id)
        .where(Webhook.next_at <= moment(connection), Job.state.in_(_ENDED))
        .order_by(Webhook.tries, Webhook.next_at)
        .limit(1)
    )
    if not without:
        return query
    return query.where(sa.or_(JobOwner.token_id.is_(None), JobOwner.token_id.not_in(without)))


def _change(database: Database, webhook_id: int, seconds: float | None = None, **values: object) -> None:
    with database.write() as connection:
        if seconds is not None:
            values["next_at"] = moment(connection) + timedelta(seconds=seconds)
        connection.execute(sa.update(Webhook).where(Webhook.id == webhook_id).values(values))
