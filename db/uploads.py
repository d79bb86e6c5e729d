"""Model files that are uploaded one by one under their digests, and the models that they make up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import tokens
from db.models import Upload, UploadedModel
from db.session import Database, now
from farm.access import TokenView
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactMissing


@dataclass(frozen=True)
class UploadRecord:
    """A file that was announced: its digest, its size in bytes, whether the store has it."""

    digest: str
    size: int
    complete: bool


def announce(database: Database, token: TokenView, files: Collection[Artifact]) -> None:
    """These files will come; what is known already costs nothing. QuotaExceeded."""
    wanted = {file.digest: file.size for file in files}
    with database.write(durable=True) as connection:
        known = set(connection.scalars(sa.select(Upload.digest).where(Upload.digest.in_(wanted))))
        rows = [
            {"digest": digest, "size": size, "token_id": token.id, "created_at": now(), "completed_at": None}
            for digest, size in wanted.items()
            if digest not in known
        ]
        if rows:
            connection.execute(sa.insert(Upload), rows)
            tokens.require_room(connection, token)


def find(database: Database, digest: str) -> UploadRecord:
    """What is known of a file; ArtifactMissing when it was not announced."""
    with database.read() as connection:
        row = connection.execute(sa.select(Upload.__table__).where(Upload.digest == digest)).one_or_none()
    if row is None:
        raise ArtifactMissing(f"No file {digest} was announced; announce the model's files first.")
    return UploadRecord(row.digest, row.size, row.completed_at is not None)


def complete(database: Database, digest: str) -> None:
    """The file is in the store."""
    with database.write(durable=True) as connection:
        connection.execute(sa.update(Upload).where(Upload.digest == digest).values(completed_at=now()))


def lost(database: Database, digest: str) -> None:
    """The store has lost the file; it must be uploaded again."""
    with database.write() as connection:
        connection.execute(sa.update(Upload).where(Upload.digest == digest).values(completed_at=None))


def complete_model(database: Database, digest: str, size: int) -> None:
    """All files of the model and its listing are in the store."""
    with database.write(durable=True) as connection:
        if not has_model(connection, digest):
            connection.execute(sa.insert(UploadedModel).values(digest=digest, size=size, created_at=now()))


def has_model(connection: Connection, digest: str) -> bool:
    """Whether a model of that digest was uploaded."""
    query = sa.select(UploadedModel.digest).where(UploadedModel.digest == digest)
    return connection.scalar(query) is not None


def kept(connection: Connection) -> list[Artifact]:
    """Everything uploaded that the store must keep, be it part of a job yet or not."""
    files = connection.execute(sa.select(Upload.digest, Upload.size))
    models = connection.execute(sa.select(UploadedModel.digest, UploadedModel.size))
    return [
        *(Artifact(ArtifactName.MODEL_FILE, row.digest, row.size) for row in files),
        *(Artifact(ArtifactName.SOURCE, row.digest, row.size) for row in models),
    ]
