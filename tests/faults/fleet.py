"""A farm beyond one machine, on this one: PostgreSQL, Redis, a relay, and Celery workers that can be killed."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from client.local import LocalFarm
from db.session import Database, open_database
from farm.settings import Settings
from farm.stages import Queue
from farm.store import LocalStore
from tests.faults.yard import ForkedWorker, Yard, stub_runner
from tests.servers import PostgresServer, RabbitServer, RedisServer
from worker import broker, relay
from worker.queue_worker import QueueWorker
from worker.sandbox import Sandbox
from worker.stage_process import StageRunner
from worker.tasks import wake_up

BOTH = "convert,android"


class Fleet(Yard):
    """A yard whose workers are woken up by a broker."""

    def __init__(
        self, home: Path, postgresql: PostgresServer, redis: RedisServer | RabbitServer, **changes: Any
    ) -> None:
        values: dict[str, Any] = {"forgotten_seconds": 2.0, "broker_visibility_seconds": 5, "lease_seconds": 6.0}
        values |= {"heartbeat_seconds": 1.0, "database_url": postgresql.new_database(), "broker_url": redis.url}
        super().__init__(home, **values | changes)
        self.postgresql = postgresql
        self.redis = redis
        self._opened: dict[int, Database] = {}
        self._relayed = False

    def database(self) -> Database:
        """One a process: a forked child must not share the connections of its parent, nor close them."""
        if os.getpid() not in self._opened:
            self._opened[os.getpid()] = open_database(self.settings.database, announcing=True)
        return self._opened[os.getpid()]

    def reopen(self, *, announcing: bool = True) -> None:
        """See Yard; `announcing` is whether jobs get into the outbox."""
        self._opened[os.getpid()] = open_database(self.settings.database, announcing=announcing)
        self._parents_farm, self.farm = self.farm, LocalFarm(self.settings, self._opened[os.getpid()])

    def start_relay(self) -> ForkedWorker:
        self._relayed = True
        return self.fork(lambda: relay.run(self.settings))

    def start_celery(
        self, queues: str = BOTH, threads: int = 2, runner: StageRunner | None = None, *options: str
    ) -> ForkedWorker:
        """A Celery worker of these queues, its stages stubs."""
        return self.fork(lambda: self._celery(queues, threads, runner or stub_runner(self.settings), *options))

    def start_worker(
        self,
        sandbox: Sandbox | None = None,
        *,
        idle_seconds: float | None = None,
        runner: StageRunner | None = None,
    ) -> ForkedWorker:
        """A Celery worker in place of an embedded one, and a relay if there is none yet."""
        if not self._relayed:
            self.start_relay()
        return self.start_celery(threads=1, runner=runner or stub_runner(self.settings, sandbox))

    def _celery(self, queues: str, threads: int, runner: StageRunner, *options: str) -> None:
        # Celery's own warnings are no faults of the tests.
        warnings.simplefilter("ignore")
        app = broker.connect(self.settings)

        def open_worker(settings: Settings, queues: Collection[Queue]) -> QueueWorker:
            """As queue_worker.open_worker, with the stub."""
            database = open_database(settings.database, announcing=True)
            return QueueWorker(settings, database, LocalStore(settings.store), runner, queues)

        wake_up.register(app, self.settings, open_worker)
        arguments = ["worker", "-Q", queues, "-c", str(threads), "--loglevel", "INFO", "--without-gossip"]
        app.worker_main([*arguments, "--without-mingle", "--without-heartbeat", *options])

    def close(self) -> None:
        super().close()
        for database in self._opened.values():
            database.close()
        self.farm.close()


def stop(process: ForkedWorker, seconds: float = 20.0) -> int:
    """Ask it to end, and wait; its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds)
