"""Garbage collection: jobs that ended long ago are forgotten, and then the files that nothing refers to are removed.

Safe while jobs run and models are uploaded, on this machine or another: what the database forgets is decided in one
transaction (db/retention.py), and a file that is not referred to is only removed when it was stored a day ago or more,
which is longer than any job takes to refer to it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from datetime import timedelta

from db import retention, store_files, store_ownership
from db.session import Database, now
from farm.collected import Collected
from farm.settings import Settings
from farm.store import GRACE_SECONDS, ArtifactStore


def collect(
    settings: Settings,
    database: Database,
    store: ArtifactStore,
    older_than: timedelta,
    *,
    dry_run: bool = False,
    grace_seconds: float = GRACE_SECONDS,
) -> Collected:
    """Forget jobs that ended longer ago than that, results that no other job needs, and remove unreferenced files.

    Files of what is forgotten now go at once; others to which nothing refers once they were unknown for the grace.
    StoreForeign when the store is another database's.
    """
    store_ownership.require(database, store)
    # Counted from here: how long the search takes must not shorten the grace.
    stored_before = time.time() - grace_seconds
    before = now() - older_than
    grace = timedelta(seconds=grace_seconds)
    with database.read() as connection:
        known = retention.referenced(connection)
        going = retention.expired(connection, before)
        referenced = retention.referenced(connection, going)
    if not dry_run:
        going = retention.forget(database, before)
        for job_id in going.jobs:
            shutil.rmtree(settings.logs / job_id, ignore_errors=True)
        with database.read() as connection:
            referenced = retention.referenced(connection)
    unused = store.unreferenced(referenced, stored_before=stored_before)
    unknown = store.unreferenced(known, stored_before=math.inf)
    if dry_run:
        with database.read() as connection:
            old = store_files.seen_unknown(connection, grace)
    else:
        old = store_files.long_unknown(database, unknown, grace)
    chosen = {digest: size for digest, size in unused.items() if digest not in unknown or digest in old}
    if not dry_run:
        store.remove(chosen, stored_before=stored_before)
    return Collected(len(going.jobs), len(going.results), len(chosen), sum(chosen.values()))


# Longer than any stage takes from storing a file until its job refers to it.
UNFILED_SECONDS = 3600.0


def remove_jobs(settings: Settings, database: Database, store: ArtifactStore, job_ids: Sequence[str]) -> Collected:
    """Delete jobs that have ended, results that no other job refers to, and at once the files that only these had.

    TransitionRefused for a job that waits or runs, StoreForeign when the store is another database's.
    """
    store_ownership.require(database, store)
    # A file that a running job has stored and not filed yet may have the same content.
    with database.read() as connection:
        busy = retention.any_running(connection)
        before = store.unreferenced(retention.referenced(connection), stored_before=math.inf)
    stored_before = time.time() - (UNFILED_SECONDS if busy else 0.0)
    gone = retention.forget_jobs(database, job_ids)
    for job_id in gone.jobs:
        shutil.rmtree(settings.logs / job_id, ignore_errors=True)
    with database.read() as connection:
        after = store.unreferenced(retention.referenced(connection), stored_before=stored_before)
    chosen = {digest: size for digest, size in after.items() if digest not in before}
    store.remove(chosen, stored_before=stored_before)
    return Collected(len(gone.jobs), len(gone.results), len(chosen), sum(chosen.values()))
