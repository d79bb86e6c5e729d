"""A unit test can neither start a program nor open a connection, in whatever way it tries."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

PROGRAM = [sys.executable, "-c", "pass"]
WAYS: dict[str, Callable[[], object]] = {
    "subprocess": lambda: subprocess.run(PROGRAM, check=False),
    "posix_spawn": lambda: os.posix_spawn(PROGRAM[0], PROGRAM, {}),
    "posix_spawnp": lambda: os.posix_spawnp(PROGRAM[0], PROGRAM, {}),
    "system": lambda: os.system("true"),  # noqa: S605
    "connect": lambda: connect(),
}


def connect() -> None:
    with socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


@pytest.mark.parametrize("way", WAYS)
def test_the_seal_holds(way: str) -> None:
    with pytest.raises(AssertionError, match="may neither open a connection nor start a program"):
        WAYS[way]()
