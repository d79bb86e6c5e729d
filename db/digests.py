"""Digests that were computed before: of the user's model files, and of what hub references led to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from db.models import FileDigest, ModelDigest
from db.session import Database, now, replace


def known_files(database: Database, statuses: Mapping[Path, os.stat_result]) -> dict[Path, str]:
    """The digests of those files that have not changed since theirs was taken: same size, mtime and inode.

    statuses: of the files that lie open, by their paths.
    """
    with database.read() as connection:
        query = sa.select(FileDigest.__table__).where(FileDigest.path.in_([str(path) for path in statuses]))
        rows = {Path(row.path): row for row in connection.execute(query)}
    found = {}
    for path, row in rows.items():
        status = statuses[path]
        if (row.size, row.mtime_ns, row.inode) == _fingerprint(status):
            found[path] = row.digest
    return found


def remember_files(database: Database, digests: Mapping[Path, tuple[os.stat_result, str]]) -> None:
    """Keep these digests; the status was taken before the file was read."""
    if not digests:
        return
    rows = []
    for path, (status, digest) in digests.items():
        size, mtime_ns, inode = _fingerprint(status)
        rows.append({"path": str(path), "size": size, "mtime_ns": mtime_ns, "inode": inode, "digest": digest})
    with database.write() as connection:
        replace(connection, FileDigest, rows)


def remember_model(database: Database, reference: str, digest: str) -> None:
    """What a model reference led to when it was fetched."""
    with database.write() as connection:
        replace(connection, ModelDigest, [{"reference": reference, "digest": digest, "seen_at": now()}])


def model(database: Database, reference: str) -> str | None:
    """The digest that the reference had when it was last fetched."""
    with database.read() as connection:
        return connection.scalar(sa.select(ModelDigest.digest).where(ModelDigest.reference == reference))


def _fingerprint(status: os.stat_result) -> tuple[int, int, int]:
    # The inode is a 64-bit number without sign in some file systems; a database's whole number has a sign.
    return status.st_size, status.st_mtime_ns, status.st_ino & (2**63 - 1)
