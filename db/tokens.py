"""Tokens: made, recognised by the hash of their secret, revoked; and what counts against their quotas."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import jobs
from db.models import Job, JobOwner, Token, Upload
from db.session import Database, now
from farm import digests
from farm.access import NewToken, Quotas, Scope, TokenView
from farm.errors import QuotaExceeded, TokenNotFound
from farm.states import JobState

SECRET_BYTES = 32
# Built once: every claim asks for it.
_AT_RUNNING_LIMIT = (
    sa.select(JobOwner.token_id)
    .join(Job, Job.id == JobOwner.job_id)
    .join(Token, Token.id == JobOwner.token_id)
    .where(Job.state == JobState.RUNNING.value, Token.max_running.is_not(None))
    .group_by(JobOwner.token_id, Token.max_running)
    .having(sa.func.count() >= Token.max_running)
)
_LIMITED_OWNER = (
    sa.select(Token.id)
    .join(JobOwner, JobOwner.token_id == Token.id)
    .where(JobOwner.job_id == sa.bindparam("of_job"), Token.max_running.is_not(None))
    .with_for_update(of=Token)
)
# Secret scanners and people know by it what they have found.
PREFIX = "farm_"


def create(database: Database, name: str, scopes: Collection[Scope], quotas: Quotas) -> NewToken:
    """Make a token of 256 random bits; only its hash is kept."""
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    view = TokenView(jobs.new_id(), name, tuple(scope for scope in Scope if scope in scopes), quotas, now(), None)
    with database.write(durable=True) as connection:
        connection.execute(
            sa.insert(Token).values(
                id=view.id, name=name, hash=_hash(secret), scopes=[scope.value for scope in view.scopes],
                created_at=view.created_at, max_queued=quotas.max_queued, max_running=quotas.max_running,
                max_bytes=quotas.max_bytes,
            )
        )  # fmt: skip
    return NewToken(view, secret)


def recognise(database: Database, secret: str) -> TokenView | None:
    """The token of that secret; None when there is none or it was revoked."""
    with database.read() as connection:
        query = sa.select(Token.__table__).where(Token.hash == _hash(secret), Token.revoked_at.is_(None))
        row = connection.execute(query).one_or_none()
    return None if row is None else _view(row)


def every(database: Database) -> list[TokenView]:
    """All tokens, the newest first, also those that were revoked."""
    with database.read() as connection:
        query = sa.select(Token.__table__).order_by(Token.created_at.desc(), Token.id)
        return [_view(row) for row in connection.execute(query)]


def revoke(database: Database, token_id: str) -> TokenView:
    """End a token, at once and forever; TokenNotFound. One that was revoked before stays so."""
    with database.write(durable=True) as connection:
        connection.execute(
            sa.update(Token).where(Token.id == token_id, Token.revoked_at.is_(None)).values(revoked_at=now())
        )
        row = connection.execute(sa.select(Token.__table__).where(Token.id == token_id)).one_or_none()
    if row is None:
        raise TokenNotFound(f"There is no token {token_id!r}; `farm token list` shows the tokens.")
    return _view(row)


def own_job(connection: Connection, token: TokenView, job_id: str) -> None:
    """The job was made by this token; QuotaExceeded, which undoes the transaction that made it."""
    # Submissions of one token come one after the other here, so that the count below stays true until the commit.
    connection.execute(sa.select(Token.id).where(Token.id == token.id).with_for_update())
    connection.execute(sa.insert(JobOwner).values(job_id=job_id, token_id=token.id))
    limit = token.quotas.max_queued
    if limit is not None and _owned(connection, token.id, JobState.QUEUED) > limit:
        raise QuotaExceeded(f"The token {token.name} has {limit} jobs in the queue and may have no more; wait for one.")


def require_queue_room(connection: Connection, job_id: str) -> None:
    """A job that was queued again counts too; QuotaExceeded."""
    row = connection.execute(
        sa.select(Token.id, Token.name, Token.max_queued)
        .join(JobOwner, JobOwner.token_id == Token.id)
        .where(JobOwner.job_id == job_id)
        .with_for_update()
    ).one_or_none()
    if row is not None and row.max_queued is not None and _owned(connection, row.id, JobState.QUEUED) > row.max_queued:
        raise QuotaExceeded(f"The token {row.name} has {row.max_queued} jobs in the queue already; wait for one.")


def require_room(connection: Connection, token: TokenView) -> None:
    """Within its quota of stored bytes, what was announced just now included; QuotaExceeded."""
    limit = token.quotas.max_bytes
    if limit is None:
        return
    connection.execute(sa.select(Token.id).where(Token.id == token.id).with_for_update())
    used = connection.scalar(sa.select(sa.func.sum(Upload.size)).where(Upload.token_id == token.id)) or 0
    if used > limit:
        raise QuotaExceeded(
            f"The token {token.name} may store {limit} bytes of models and this would make {used}; ask for a larger"
            " quota."
        )


def at_running_limit(connection: Connection) -> list[str]:
    """The tokens that have as many jobs running as they may."""
    return list(connection.scalars(_AT_RUNNING_LIMIT))


def may_run(connection: Connection, job_id: str) -> bool:
    """Whether the job's owner may have it running, for the transaction that starts it.

    The owner's starts come one after the other here, so that two at once cannot pass the limit together.
    """
    owner = connection.scalar(_LIMITED_OWNER, {"of_job": job_id})
    return owner is None or owner not in at_running_limit(connection)


def _owned(connection: Connection, token_id: str, state: JobState) -> int:
    query = sa.select(sa.func.count()).select_from(JobOwner).join(Job, Job.id == JobOwner.job_id)
    return connection.scalar(query.where(JobOwner.token_id == token_id, Job.state == state.value)) or 0


def _hash(secret: str) -> str:
    return digests.of_bytes(secret.encode())


def _view(row: sa.Row[Any]) -> TokenView:
    return TokenView(
        row.id,
        row.name,
        tuple(Scope(scope) for scope in row.scopes),
        Quotas(row.max_queued, row.max_running, row.max_bytes),
        row.created_at,
        row.revoked_at,
    )
