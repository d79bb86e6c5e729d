"""Model files that are uploaded one by one under their digests, and the models that they make up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import tokens
from db.models import FormerUpload, FormerUploadedModel, Upload, UploadedModel
from db.session import Database, now
from farm.access import TokenView
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactMissing


@dataclass(frozen=True)
class UploadRecord:
    """A file that a token announced: its digest, its size in bytes, whether the token has sent all of it."""

    token_id: str
    digest: str
    size: int
    complete: bool


def announce(database: Database, token: TokenView, files: Collection[Artifact], *, shared: bool = False) -> None:
    """The token will send these files; what it sent before costs nothing. QuotaExceeded.

    A size that was announced wrongly is corrected as long as the file is not complete. What others have sent counts
    only on a `shared` farm: elsewhere the answer would tell what others have.
    """
    wanted = {file.digest: file.size for file in files}
    with database.write(durable=True) as connection:
        own = sa.select(Upload.__table__).where(Upload.token_id == token.id, Upload.digest.in_(wanted))
        known = {row.digest: row for row in connection.execute(own)}
        sent = _sent_by_anybody(connection, wanted) if shared else set()
        rows = [
            {"digest": digest, "size": size, "token_id": token.id, "created_at": now(),
             "completed_at": now() if (digest, size) in sent else None}
            for digest, size in wanted.items()
            if digest not in known
        ]  # fmt: skip
        if rows:
            connection.execute(sa.insert(Upload), rows)
        for row in known.values():
            if row.completed_at is None and row.size != wanted[row.digest]:
                connection.execute(_row(token.id, row.digest).values(size=wanted[row.digest]))
        if rows or known:
            tokens.require_room(connection, token)


def find(database: Database, token: TokenView, digest: str) -> UploadRecord:
    """What is known of a token's file; ArtifactMissing when it did not announce it."""
    with database.read() as connection:
        query = sa.select(Upload.__table__).where(Upload.token_id == token.id, Upload.digest == digest)
        row = connection.execute(query).one_or_none()
    if row is None:
        raise ArtifactMissing(f"No file {digest} was announced; announce the model's files first.")
    return UploadRecord(row.token_id, row.digest, row.size, row.completed_at is not None)


def complete(database: Database, record: UploadRecord) -> None:
    """The token has sent the file, and it is in the store."""
    with database.write(durable=True) as connection:
        connection.execute(_row(record.token_id, record.digest).values(completed_at=now()))


def lost(database: Database, digest: str) -> None:
    """The store has lost the file; whoever sent it must send it again."""
    with database.write() as connection:
        connection.execute(sa.update(Upload).where(Upload.digest == digest).values(completed_at=None))


def complete_model(database: Database, token: TokenView, digest: str, size: int) -> None:
    """The token has sent all files of the model, and its listing is in the store."""
    with database.write(durable=True) as connection:
        if not has_model(connection, digest, token.id):
            row = {"token_id": token.id, "digest": digest, "size": size, "created_at": now()}
            connection.execute(sa.insert(UploadedModel).values(row))


def has_model(connection: Connection, digest: str, token_id: str | None) -> bool:
    """Whether that token, or any for None, has uploaded a model of that digest."""
    query = sa.select(UploadedModel.digest).where(UploadedModel.digest == digest).limit(1)
    if token_id is not None:
        query = query.where(UploadedModel.token_id == token_id)
    return connection.scalar(query) is not None


def kept(connection: Connection) -> list[Artifact]:
    """Everything uploaded that the store must keep, be it part of a job yet or not."""
    return [
        Artifact(name, row.digest, row.size)
        for table, name in (
            (Upload, ArtifactName.MODEL_FILE), (FormerUpload, ArtifactName.MODEL_FILE),
            (UploadedModel, ArtifactName.SOURCE), (FormerUploadedModel, ArtifactName.SOURCE),
        )
        for row in connection.execute(sa.select(table.digest, table.size))
    ]  # fmt: skip


def _row(token_id: str, digest: str) -> sa.Update:
    return sa.update(Upload).where(Upload.token_id == token_id, Upload.digest == digest)


def _sent_by_anybody(connection: Connection, wanted: Collection[str]) -> set[tuple[str, int]]:
    query = sa.select(Upload.digest, Upload.size).where(Upload.digest.in_(wanted), Upload.completed_at.is_not(None))
    return {(row.digest, row.size) for row in connection.execute(query)}
