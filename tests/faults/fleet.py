"""A farm beyond one machine, on this one: PostgreSQL, Redis, a relay, and Celery workers that can be killed."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from db.session import Database, open_database
from farm.settings import Settings
from farm.stages import Queue
from farm.store import LocalStore
from tests.faults.conftest import HERE, ForkedWorker, Yard
from tests.servers import PostgresServer, RedisServer
from worker import broker, relay
from worker.queue_worker import QueueWorker
from worker.sandbox import Unconfined
from worker.stage_process import ProcessRunner
from worker.tasks import wake_up

BOTH = "convert,android"


class Fleet(Yard):
    """A yard whose workers are woken up by a broker."""

    def __init__(self, home: Path, postgresql: PostgresServer, redis: RedisServer, **changes: Any) -> None:
        values = {"forgotten_seconds": 2.0, "broker_visibility_seconds": 5, "lease_seconds": 6.0}
        values |= {"heartbeat_seconds": 1.0, "database_url": postgresql.new_database(), "broker_url": redis.url}
        super().__init__(home, **values | changes)
        self.postgresql = postgresql
        self.redis = redis
        self._opened: Database | None = None

    def database(self) -> Database:
        if self._opened is None:
            self._opened = open_database(self.settings.database, announcing=True)
        return self._opened

    def start_relay(self) -> ForkedWorker:
        process = ForkedWorker(self.settings.home / "workers.log", lambda: relay.run(self.settings))
        self.processes.append(process)
        return process

    def start_celery(self, queues: str = BOTH, threads: int = 2) -> ForkedWorker:
        """A Celery worker of these queues, its stages stubs."""
        process = ForkedWorker(self.settings.home / "workers.log", lambda: self._celery(queues, threads))
        self.processes.append(process)
        return process

    def _celery(self, queues: str, threads: int) -> None:
        # Celery's own warnings are no faults of the tests.
        warnings.simplefilter("ignore")
        app = broker.connect(self.settings)
        wake_up.register(app, self.settings, open_stub_worker)
        arguments = ["worker", "-Q", queues, "-c", str(threads), "--loglevel", "INFO", "--without-gossip"]
        app.worker_main([*arguments, "--without-mingle", "--without-heartbeat"])

    def close(self) -> None:
        super().close()
        if self._opened is not None:
            self._opened.close()
        self.farm.close()


def open_stub_worker(settings: Settings, queues: Collection[Queue]) -> QueueWorker:
    """As queue_worker.open_worker, with the fault tests' stage program."""
    command = (sys.executable, "-I", "-S", str(HERE / "stub_stage.py"))
    runner = ProcessRunner(Unconfined("a test"), settings.grace_seconds, command)
    database = open_database(settings.database, announcing=True)
    return QueueWorker(settings, database, LocalStore(settings.store), runner, queues)


def stop(process: ForkedWorker, seconds: float = 20.0) -> int:
    """Ask it to end, and wait; its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds)
