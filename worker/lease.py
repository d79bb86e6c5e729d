"""Keeps a job's lease while the supervisor is busy, and listens for its cancellation."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from db import claims
from db.claims import Claim, LeaseLost
from db.session import Database
from farm.errors import FarmError
from worker.termination import Reason, Termination

CANCEL_CHECK_SECONDS = 1.0


class LeaseKeeper:
    """A thread that renews the lease while the block runs.

    A lost lease or a wish to cancel becomes a reason in `termination`. When the database does not answer or its disk
    is full it is tried again until the lease would have run out; then the lease counts as lost.
    """

    def __init__(self, database: Database, held: Claim, heartbeat_seconds: float, termination: Termination) -> None:
        self._database = database
        self._held = held
        self._heartbeat = heartbeat_seconds
        self._termination = termination
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {held.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed = asked = time.monotonic()
        while not self._ended.wait(min(CANCEL_CHECK_SECONDS, self._heartbeat)):
            try:
                if time.monotonic() - asked >= self._heartbeat:
                    asked = time.monotonic()
                    cancel = claims.heartbeat(self._database, self._held)
                    renewed = time.monotonic()
                else:
                    cancel = claims.cancel_requested(self._database, self._held)
            except LeaseLost:
                # The job's own end, written by the supervisor, looks the same from here and harms nobody.
                self._termination.request(Reason.LEASE_LOST)
                return
            except FarmError:
                if time.monotonic() - renewed < self._held.lease_seconds:
                    continue
                self._termination.request(Reason.LEASE_LOST)
                return
            if cancel:
                self._termination.request(Reason.CANCEL)
