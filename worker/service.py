"""A worker from its start to its end: reconcile, run jobs as they come, leave when there is nothing more to do."""

from __future__ import annotations

import logging
import signal
import time
from types import FrameType

from db import jobs, workers
from db.session import open_database
from farm.settings import Settings
from farm.store.choice import open_store
from worker import reconciliation, sandbox, workfolder
from worker.stage_process import ProcessRunner, StageRunner
from worker.supervisor import Supervisor
from worker.termination import Reason, Termination

SWEEP_SECONDS = 1.0
_log = logging.getLogger("farm.worker")


def serve(
    settings: Settings,
    *,
    once: bool = False,
    idle_seconds: float | None = None,
    worker_id: str | None = None,
    runner: StageRunner | None = None,
) -> int:
    """Work in this process until SIGTERM or SIGINT; returns how many jobs were run.

    once: until no job is queued. idle_seconds: until none was queued for so long. worker_id: the one under which
    whoever started this worker has registered it. The running job goes back to the queue, uncharged, when the worker
    is asked to stop. SettingsInvalid when a sandbox is required and there is none.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    chosen = runner or ProcessRunner(sandbox.choose(settings.sandbox), settings.grace_seconds)
    own_id = worker_id or jobs.new_id()
    database = open_database(settings.database, announcing=settings.announcing, migrate=settings.migrate)
    store = open_store(settings)
    supervisor = Supervisor(settings, database, store, chosen, own_id)
    with Termination() as stopping:

        def stop(_number: int, _frame: FrameType | None) -> None:
            stopping.request(Reason.STOP)
            supervisor.stop()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            confines = chosen.sandbox.confines
            reconciliation.register_and_reconcile(settings, database, store, own_id, confines=confines)
            _log.info("worker %s: stages run in %s", own_id, chosen.sandbox.description)
            sweeper = reconciliation.Sweeper(settings, database, own_id, confines=confines)
            return _work(settings, supervisor, sweeper, 0.0 if once else idle_seconds, stopping)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            workfolder.remove(settings.work / own_id)
            workers.leave(database, own_id)
            database.close()


def _work(
    settings: Settings,
    supervisor: Supervisor,
    sweeper: reconciliation.Sweeper,
    idle_seconds: float | None,
    stopping: Termination,
) -> int:
    """Run jobs until asked to stop or, with `idle_seconds`, until there was none for so long; how many were run."""
    count = 0
    idle_since = time.monotonic()
    next_sweep = 0.0
    while stopping.reason is None:
        if time.monotonic() >= next_sweep:
            sweeper.sweep()
            next_sweep = time.monotonic() + SWEEP_SECONDS
        if supervisor.run_next() is not None:
            count += 1
            idle_since = time.monotonic()
            continue
        idle = time.monotonic() - idle_since
        if idle_seconds is not None and idle >= idle_seconds and sweeper.leave_if_idle():
            break
        stopping.wait(settings.poll_seconds)
    return count
