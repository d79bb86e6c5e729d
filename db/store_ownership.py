"""Whether the store is this database's: nothing is removed from another's, however unknown its files are here.

An empty `farm.db`, or a FARM_DATABASE_URL that names another database, refers to no file of the store; without this
question every file would look like rubbish.
"""

from __future__ import annotations

import math

from db import retention, store_files
from db.session import Database
from farm.errors import StoreForeign
from farm.store import ArtifactStore


def owns(database: Database, store: ArtifactStore) -> bool:
    """Whether the store is this database's. A store that nobody has taken yet is taken, if that is safe.

    Safe is an empty one, and one of an earlier version of the farm of which the database knows most files.
    """
    with database.read() as connection:
        own_id = store_files.database_id(connection)
        referenced = retention.referenced(connection)
    owner = store.owner()
    if owner is None:
        files = store.unreferenced([], stored_before=math.inf)
        if files and 2 * len(store.unreferenced(referenced, stored_before=math.inf)) > len(files):
            return False
        store.set_owner(own_id)
        owner = store.owner()
    return owner == own_id


def require(database: Database, store: ArtifactStore) -> None:
    """StoreForeign unless the store is this database's."""
    if not owns(database, store):
        raise StoreForeign(
            "The store belongs to another database, so nothing is removed from it; check FARM_HOME and"
            " FARM_DATABASE_URL, or, when that database is gone for good, run `farm gc --adopt-store`."
        )


def adopt(database: Database, store: ArtifactStore) -> None:
    """Make the store this database's, on the operator's word. Files unknown here keep their grace from now on."""
    with database.read() as connection:
        own_id = store_files.database_id(connection)
    store.set_owner(own_id, replace=True)
