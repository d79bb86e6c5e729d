"""Connections that ask nothing end: what uvicorn's own timers leave out.

It ends a connection that is silent after an answer. One that never asks, or stops in the middle of a request's head, it
keeps forever, and one whose other end is gone it sees only when it writes.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

# A request's head must be there so long after the connection, or after the head's first byte.
HEAD_SECONDS = 15.0
# The kernel asks a silent other end after so long, three times, and gives up.
ALIVE_SECONDS = 30
ALIVE_ASKED_SECONDS = 10
_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ALIVE_ASKED_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (ALIVE_SECONDS + 3 * ALIVE_ASKED_SECONDS)),
)


class ImpatientProtocol(AutoHTTPProtocol):  # type: ignore[valid-type,misc] # chosen by what is installed
    """One connection."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Its first request must come soon."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            for level, option, value in _ALIVE:
                with suppress(OSError):
                    connection.setsockopt(level, option, value)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A head that has begun must come to its end soon."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self._busy():
            self._forget()
        elif self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._end)

    def _end(self) -> None:
        self._waiting = None
        if not self._busy():
            cast(asyncio.Transport, self.transport).close()

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete
