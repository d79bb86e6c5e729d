"""The only task: a wake-up for a job, and the worker's life around it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

from celery import Celery, signals
from celery.concurrency import get_implementation
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool

from farm.errors import FarmError
from farm.settings import Settings
from farm.stages import Queue
from worker import broker, queue_worker
from worker.queue_worker import QueueWorker

_Open = Callable[[Settings, Collection[Queue]], QueueWorker]


class _Process:
    """What this process has, once it is a worker."""

    worker: QueueWorker | None = None


def register(app: Celery, settings: Settings, open_worker: _Open = queue_worker.open_worker) -> None:
    """The task, and what happens when a worker of this application starts and stops."""

    @app.task(name=broker.WAKE_UP)
    def wake_up(job_id: str) -> None:
        if _Process.worker is not None:
            _Process.worker.wake(job_id)

    # Not weakly: nobody else holds these functions.
    @signals.worker_init.connect(weak=False)
    def start(sender: Any, **_: Any) -> None:
        pool = get_implementation(sender.pool_cls)
        if not issubclass(pool, (ThreadPool, SoloPool)):
            name = pool.__module__.rpartition(".")[2]
            sys.exit(f"The pool {name} cannot run the farm's jobs; start the worker with --pool=threads or solo.")
        try:
            worker = open_worker(settings, [Queue(name) for name in app.amqp.queues.consume_from])
            worker.start()
        except FarmError as error:
            print(error.sentence, file=sys.stderr)  # noqa: T201 # there is no log yet
            sys.exit(error.exit_code)
        _Process.worker = worker

    @signals.worker_shutting_down.connect(weak=False)
    def stop(**_: Any) -> None:
        if _Process.worker is not None:
            _Process.worker.stop()

    @signals.worker_shutdown.connect(weak=False)
    def close(**_: Any) -> None:
        if _Process.worker is not None:
            _Process.worker.close()
            _Process.worker = None
