"""What the database knows of its store as a whole: whose it is, and since when files in it are unknown."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db.models import FarmIdentity, UnknownFile
from db.session import Database, now


def database_id(connection: Connection) -> str:
    """The random id that this database got when it was made."""
    return connection.execute(sa.select(FarmIdentity.id)).scalar_one()


def long_unknown(database: Database, unknown: Collection[str], grace: timedelta) -> set[str]:
    """Of these files, to which nothing refers, those that were seen so for the whole grace; the others are noted.

    A database that was restored from an older copy, or whose store was moved here, first sees files now. What is
    referred to again is no longer noted.
    """
    with database.write() as connection:
        known = {row.digest: row.seen_at for row in connection.execute(sa.select(UnknownFile.__table__))}
        moment = now()
        for digest in known.keys() - set(unknown):
            connection.execute(sa.delete(UnknownFile).where(UnknownFile.digest == digest))
        fresh = [{"digest": digest, "seen_at": moment} for digest in sorted(set(unknown) - known.keys())]
        if fresh:
            connection.execute(sa.insert(UnknownFile), fresh)
    return {digest for digest in unknown if digest in known and known[digest] <= moment - grace}


def seen_unknown(connection: Connection, grace: timedelta) -> set[str]:
    """The files that were noted as unknown before the grace."""
    return set(connection.scalars(sa.select(UnknownFile.digest).where(UnknownFile.seen_at <= now() - grace)))
