"""The user that a stage runs as where the farm runs as root: nobody's, and another one for almost every stage."""

from __future__ import annotations

import ctypes
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Numbers that Debian and systemd give to nobody, and that a container's user namespace of 65,536 users has.
FIRST, COUNT = 60578, 606

_CAP_SYS_ADMIN = 1 << 21
_JOIN_SESSION_KEYRING = 1


def of(workdir: Path) -> int:
    """The number of the user and group of the stage with this work folder."""
    return FIRST + zlib.crc32(os.fsencode(workdir)) % COUNT


def can_switch() -> bool:
    """Whether this process is root with all that root can do, and so can give a stage a user of its own."""
    return os.geteuid() == 0 and bool(_capabilities() & _CAP_SYS_ADMIN)


def give(paths: Iterable[Path], user: int) -> None:
    """Make these files and folders, without what lies below them, the user's."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.chown(path, user, user, follow_symlinks=False)


def leave_session_keyring() -> None:
    """Take a new, empty session keyring for this process and all that it starts; its user's may hold secrets."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)
    # Where the kernel or a container refuses keyrings at all, the stages cannot use them either.
    if number is not None:
        libc.syscall(number, _JOIN_SESSION_KEYRING, None)


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
