"""Why running work must stop before its end, told across threads and from signal handlers, and waited for."""

from __future__ import annotations

import os
import select
from enum import StrEnum
from types import TracebackType
from typing import Self


class Reason(StrEnum):
    """Why to stop."""

    STOP = "the worker was asked to stop"
    CANCEL = "cancellation was asked for"
    LEASE_LOST = "the job is another worker's now"


class Terminated(Exception):
    """Running work was stopped for this reason. Never shown to a user."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Termination:
    """A reason to stop, once there is one; the first stays. Its descriptor becomes readable with it."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.reason: Reason | None = None

    def request(self, reason: Reason) -> None:
        """Ask for a stop; may be called from a signal handler."""
        if self.reason is None:
            self.reason = reason
        os.eventfd_write(self._descriptor, 1)

    def check(self) -> None:
        """Raise Terminated when there is a reason to stop."""
        if self.reason is not None:
            raise Terminated(self.reason)

    def wait(self, seconds: float) -> bool:
        """Wait so long for a reason to stop; whether there is one."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        poller.poll(seconds * 1000)
        return self.reason is not None

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
