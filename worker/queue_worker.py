"""A worker that is woken up: what a Celery worker's process holds, and what it does with a wake-up.

Threads of this process run the jobs, each with a supervisor of its own; the stages are processes of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from db import jobs, outbox, workers
from db.session import Database, open_database
from farm.errors import DatabaseUnusable
from farm.settings import Settings
from farm.stages import Queue
from farm.store import ArtifactStore
from farm.store.choice import open_store
from worker import reconciliation, sandbox
from worker.service import SWEEP_SECONDS
from worker.stage_process import ProcessRunner, StageRunner
from worker.supervisor import Supervisor

_log = logging.getLogger("farm.worker")


class QueueWorker:
    """Runs the jobs that it is woken up for, as far as their stages are in its queues."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ArtifactStore,
        runner: StageRunner,
        queues: Collection[Queue],
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._runner = runner
        self._queues = tuple(queues)
        self.id = jobs.new_id()
        self._supervisors: list[Supervisor] = []
        self._stopping = False
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Register, set right what dead workers left, and go on doing so."""
        confines = self._runner.sandbox.confines
        reconciliation.register_and_reconcile(self._settings, self._database, self._store, self.id, confines=confines)
        self._sweeper.start()
        queues = ", ".join(self._queues)
        _log.info("worker %s: queues %s; stages run in %s", self.id, queues, self._runner.sandbox.description)

    def wake(self, job_id: str) -> None:
        """Claim the job and run it; nothing when it is claimed, has ended or needs another worker."""
        supervisor = Supervisor(self._settings, self._database, self._store, self._runner, self.id, self._queues)
        self._supervisors.append(supervisor)
        try:
            if self._stopping:
                self._pass_on(job_id)
            else:
                supervisor.run_next(job_id)
        except DatabaseUnusable as error:
            _log.warning("wake-up for %s: %s", job_id, error.sentence)
        finally:
            self._supervisors.remove(supervisor)

    def stop(self) -> None:
        """Give every job back; may be called from a signal handler."""
        self._stopping = True
        for supervisor in list(self._supervisors):
            supervisor.stop()

    def close(self) -> None:
        """Leave, once no job is running any more."""
        self._closed.set()
        self._sweeper.join()
        try:
            workers.leave(self._database, self.id)
        except DatabaseUnusable as error:
            _log.warning("%s", error.sentence)
        self._database.close()

    def _pass_on(self, job_id: str) -> None:
        """A wake-up that comes while this worker leaves goes to another one."""
        with self._database.write() as connection:
            queue = jobs.waits_in(connection, job_id)
            if queue is not None:
                outbox.announce(connection, job_id, queue)

    def _sweep(self) -> None:
        confines = self._runner.sandbox.confines
        sweeper = reconciliation.Sweeper(self._settings, self._database, self.id, confines=confines)
        while not self._closed.wait(SWEEP_SECONDS):
            try:
                sweeper.sweep()
            except DatabaseUnusable as error:
                _log.warning("%s", error.sentence)


def open_worker(settings: Settings, queues: Collection[Queue]) -> QueueWorker:
    """A worker with the settings of this process; SettingsInvalid when a sandbox is required and there is none."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    runner = ProcessRunner(sandbox.choose(settings.sandbox), settings.grace_seconds)
    database = open_database(settings.database, announcing=True, migrate=settings.migrate)
    return QueueWorker(settings, database, open_store(settings), runner, queues)
