"""Sets right, at a worker's start, what a crash may have left behind: of workers, jobs, processes and files."""

from __future__ import annotations

import fcntl
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from db import claims, retention, stages, store_files, store_ownership, workers
from db.records import WorkerRecord
from db.session import Database
from farm import identity
from farm.identity import ProcessIdentity
from farm.settings import Settings
from farm.store import GRACE_SECONDS, ArtifactStore
from worker import control_group, process_tree
from worker.removal import ASIDE, remove

_log = logging.getLogger("farm.worker")
# A clock that gains or loses so much between two looks was set, or the machine slept.
STEP_SECONDS = 5.0


@dataclass(frozen=True)
class Reconciled:
    """What was found and set right."""

    dead_workers: tuple[str, ...]
    freed_jobs: tuple[str, ...]
    work_folders: int
    incoming_files: int
    forgotten_results: int
    unreferenced_files: int


def register_and_reconcile(
    settings: Settings, database: Database, store: ArtifactStore, worker_id: str, *, confines: bool
) -> Reconciled:
    """Register this worker, whose stages run in a sandbox or not, and clean up after dead ones.

    One worker at a time does this, and files are only removed while no other worker is alive, so that nothing that
    somebody is about to use is taken away. Of a store that others may share, or that belongs to another database,
    nothing is removed. A file to which nothing refers stays for a day after that was first seen.
    """
    if (groups := control_group.find()) is not None:
        groups.remove_abandoned()
    with _alone(settings):
        workers.register(database, worker_id, str(identity.of_process()), confines=confines)
        alive, dead = _others(database, worker_id)
        freed = free_lost_jobs(database, dead, settings.max_attempts)
        keep = {worker_id, *(worker.id for worker in alive)}
        folders = _remove_work_folders(settings, keep)
        incoming = unreferenced = forgotten = 0
        if not alive and not store_ownership.owns(database, store):
            _log.warning("the store belongs to another database: nothing is removed from it; see `farm gc`")
        elif not alive and settings.store_url is not None:
            incoming = store.remove_incoming()
        elif not alive:
            incoming = store.remove_incoming()
            forgotten = _forget_results_without_files(database, store)
            unreferenced = _remove_long_unknown(database, store)
    found = Reconciled(tuple(worker.id for worker in dead), tuple(freed), folders, incoming, forgotten, unreferenced)
    _log.info("reconciled: %s", found)
    return found


class Sweeper:
    """What a worker does every second: free what others have left, and say now and then that it is there itself."""

    def __init__(self, settings: Settings, database: Database, worker_id: str, *, confines: bool) -> None:
        self._settings = settings
        self._database = database
        self._worker_id = worker_id
        self._confines = confines
        self._next_seen = 0.0
        self._clocks = time.time(), time.monotonic()
        self._leases_count_from = 0.0

    def sweep(self) -> list[str]:
        """Free the jobs of workers that have died since, and those whose lease has run out; their ids."""
        if time.monotonic() >= self._next_seen:
            process = str(identity.of_process())
            workers.seen(self._database, self._worker_id, process, confines=self._confines)
            self._next_seen = time.monotonic() + workers.SEEN_SECONDS
        _, dead = _others(self._database, self._worker_id)
        freed = free_lost_jobs(self._database, dead, self._settings.max_attempts, overdue=self._leases_count())
        if self._settings.alive is not None:
            self._settings.alive.touch()
        return freed

    def _leases_count(self) -> bool:
        """Whether a lease that is over tells that its worker is gone.

        Not for the length of a lease after the machine's clock was set or the machine slept: then the leases of healthy
        workers are over too, until they renew them.
        """
        before, self._clocks = self._clocks, (time.time(), time.monotonic())
        passed, measured = (new - old for new, old in zip(self._clocks, before, strict=True))
        if abs(passed - measured) > STEP_SECONDS:
            _log.warning("the machine's clock has moved by %.0f s; leases count again after one", passed - measured)
            self._leases_count_from = self._clocks[1] + self._settings.lease_seconds
        return self._clocks[1] >= self._leases_count_from

    def leave_if_idle(self) -> bool:
        """Forget this worker unless a job waits that it can do; True when forgotten."""
        return workers.leave_if_idle(self._database, self._worker_id, confines=self._confines)


def free_lost_jobs(
    database: Database, dead: list[WorkerRecord], max_attempts: int, *, overdue: bool = True
) -> list[str]:
    """Kill what dead workers have left running, free their jobs, forget the workers.

    overdue: free the jobs past their lease too.
    """
    for worker in dead:
        process_tree.kill(worker.id)
    freed = claims.requeue_lost(database, [worker.id for worker in dead], max_attempts, overdue=overdue)
    workers.remove(database, [worker.id for worker in dead])
    return freed


def _others(database: Database, worker_id: str) -> tuple[list[WorkerRecord], list[WorkerRecord]]:
    """The other workers: those that live or may live elsewhere, and those that are dead."""
    with database.read() as connection:
        others = [worker for worker in workers.registered(connection) if worker.id != worker_id]
    dead = [worker for worker in others if worker.silent or identity.known_dead(ProcessIdentity.parse(worker.process))]
    return [worker for worker in others if worker not in dead], dead


def _remove_work_folders(settings: Settings, keep: set[str]) -> int:
    kept = keep | {ASIDE}
    folders = [path for path in settings.work.iterdir() if path.name not in kept] if settings.work.is_dir() else []
    for folder in folders:
        remove(folder)
    # Logs of processes that got ready, as the farm named them before it read logs from a pipe.
    for left in settings.logs.glob("*/*.waiting"):
        remove(left)
    return len(folders)


def _forget_results_without_files(database: Database, store: ArtifactStore) -> int:
    with database.read() as connection:
        outputs = stages.outputs_by_key(connection)
    lost = [key for key, artifacts in outputs.items() if not all(store.has(artifact) for artifact in artifacts)]
    for key in lost:
        stages.forget_result(database, key)
    return len(lost)


def _remove_long_unknown(database: Database, store: ArtifactStore) -> int:
    """Remove files to which nothing has referred for the whole grace."""
    stored_before = time.time() - GRACE_SECONDS
    with database.read() as connection:
        referenced = retention.referenced(connection)
    unknown = store.unreferenced(referenced, stored_before=math.inf)
    old = store_files.long_unknown(database, unknown, timedelta(seconds=GRACE_SECONDS))
    return store.remove(sorted(old), stored_before=stored_before)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    with (settings.home / "reconciliation.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
