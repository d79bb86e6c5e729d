"""Which process a process is, so that another one can later tell whether it still lives.

A process number alone is used again; with the machine's boot, its process namespace and the start time it is not.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process of some machine. started: in clock ticks since boot."""

    host: str
    boot: str
    namespace: str
    pid: int
    started: int

    def __str__(self) -> str:
        return "/".join((self.host, self.boot, self.namespace, str(self.pid), str(self.started)))

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity:
        """Read what `str` made."""
        host, boot, namespace, pid, started = text.split("/")
        return cls(host, boot, namespace, int(pid), int(started))


def of_process(pid: int | None = None) -> ProcessIdentity:
    """The identity of a living process of this machine, by default of this one; ProcessLookupError."""
    number = os.getpid() if pid is None else pid
    started = _start_ticks(number)
    if started is None:
        raise ProcessLookupError(number)
    return ProcessIdentity(socket.gethostname(), _boot(), _namespace(), number, started)


def known_dead(identity: ProcessIdentity) -> bool:
    """Whether the process certainly lives no more; False when it cannot be seen from here."""
    if identity.host != socket.gethostname():
        return False
    if identity.boot != _boot():
        return True
    return identity.namespace == _namespace() and _start_ticks(identity.pid) != identity.started


def _start_ticks(pid: int) -> int | None:
    """The start time of a process that lives; None when it does not (a zombie does not)."""
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, so the fields are counted from its end; see proc(5).
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str((_PROC / "self/ns/pid").readlink())
