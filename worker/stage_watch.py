"""Watches a stage's process: its progress, its log, its limits and the reasons to stop it."""

from __future__ import annotations

import math
import os
import selectors
import time
from collections.abc import Callable
from contextlib import suppress

from farm import progress
from farm.errors import FarmError
from farm.progress import Progress
from worker.limits import Meter
from worker.stage_log import StageLog
from worker.termination import Termination

PROGRESS_SECONDS = 0.25
# Of what came at once on the progress pipe, the last lines are looked at.
MAX_LINES = 16


class Watch:
    """Waits for the process's end, for progress, for a reason to stop and for the limits, all in one place."""

    def __init__(
        self,
        pid: int,
        reading: int,
        log: StageLog,
        termination: Termination,
        meter: Meter,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._pid = pid
        self._reading = reading
        self._log = log
        self._termination = termination
        self._meter = meter
        self._on_progress = on_progress
        self._unread = b""
        self._latest: Progress | None = None
        # A stage that is over in a moment has nothing to tell on the way.
        self._tell_at = time.monotonic() + PROGRESS_SECONDS

    def until_end(self) -> FarmError | None:
        """Until the process ended, must stop (None) or passed a limit (its error)."""
        end = os.pidfd_open(self._pid)
        os.set_blocking(self._reading, False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(end, selectors.EVENT_READ)
                selector.register(self._termination, selectors.EVENT_READ)
                selector.register(self._reading, selectors.EVENT_READ)
                selector.register(self._log, selectors.EVENT_READ)
                while True:
                    ready = {key.fd for key, _ in selector.select(self._seconds_to_next())}
                    if self._reading in ready and not self._read_progress():
                        selector.unregister(self._reading)
                    if self._log.fileno() in ready and not self._log.carry():
                        selector.unregister(self._log)
                    if end in ready or self._termination.reason is not None:
                        return None
                    if (error := self._meter.check()) is not None:
                        return error
                    self._tell_progress()
        finally:
            os.close(end)

    def _seconds_to_next(self) -> float:
        untold = self._tell_at - time.monotonic() if self._latest is not None else math.inf
        return max(0.0, min(self._meter.seconds_to_next(), untold))

    def _tell_progress(self) -> None:
        """Hand the latest word on, a few times a second; the last word is never lost while the stage runs."""
        if self._latest is not None and time.monotonic() >= self._tell_at:
            self._on_progress(self._latest)
            self._latest = None
            self._tell_at = time.monotonic() + PROGRESS_SECONDS

    def _read_progress(self) -> bool:
        """Keep the latest whole line; False at the pipe's end. What is no progress of ours is passed over."""
        try:
            data = os.read(self._reading, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._unread = self._unread[-progress.LINE_BYTES :]
        for line in reversed(lines[-MAX_LINES:]):
            with suppress(ValueError):
                self._latest = progress.decode(line)
                break
        return bool(data)
