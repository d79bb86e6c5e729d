"""Celery's pool of threads, with what it lacks: it can grow and shrink, for `--autoscale`, and says when a task ends.

Without the latter a worker that takes no wake-up while it is busy would find out up to a second later that it is not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from celery.concurrency import thread
from celery.concurrency.base import apply_target

# Threads that do nothing cost nothing; how many of them work at once is what grows and shrinks.
THREADS = 256


class Gate:
    """Lets so many in at once; the others wait."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._inside = 0
        self._changed = threading.Condition()

    def resize(self, width: int) -> None:
        """From now on so many; whoever is inside stays."""
        with self._changed:
            self._width = width
            self._changed.notify_all()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._width)
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()


class TaskPool(thread.TaskPool):
    """A pool of threads of which `limit` work at once, at least one."""

    def __init__(self, limit: int | None = None, **options: Any) -> None:
        self._gate = Gate(max(1, limit or 0))
        super().__init__(THREADS, **options)
        self.limit = max(1, limit or 0)
        self._ended = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def register_with_event_loop(self, hub: Any) -> None:
        """The loop looks for messages each time that it wakes up; the end of a task is a reason to."""
        hub.add_reader(self._ended, os.eventfd_read, self._ended)

    def grow(self, n: int = 1) -> None:
        """Let `n` more work at once."""
        self._resize(self.limit + n)

    def shrink(self, n: int = 1) -> None:
        """Let `n` fewer work at once."""
        self._resize(self.limit - n)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> thread.ApplyResult:
        """Run a task once there is room; it is acknowledged then, and until then others may get what comes next."""

        def enter() -> None:
            try:
                with self._gate:
                    apply_target(target, args or (), kwargs or {}, callback, accept_callback)
            finally:
                os.eventfd_write(self._ended, 1)

        return thread.ApplyResult(self.executor.submit(enter))

    def _resize(self, limit: int) -> None:
        self.limit = max(1, limit)
        self._gate.resize(self.limit)
