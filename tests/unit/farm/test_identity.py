"""A process is told from another one with the same number."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest

from farm import identity
from farm.identity import ProcessIdentity


def test_this_process_lives() -> None:
    own = identity.of_process()
    assert own.pid == os.getpid()
    assert ProcessIdentity.parse(str(own)) == own
    assert not identity.known_dead(own)


@pytest.mark.parametrize(
    ("change", "dead"),
    [
        ({"started": 1}, True),
        ({"boot": "an earlier one"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"host": "elsewhere", "pid": 2**22 + 1}, False),
        ({"namespace": "pid:[1]", "pid": 2**22 + 1}, False),
    ],
)
def test_what_is_known_dead(change: dict[str, Any], dead: bool) -> None:
    assert identity.known_dead(dataclasses.replace(identity.of_process(), **change)) is dead


def test_a_zombie_is_dead() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProcessLookupError):
        identity.of_process(pid)
    os.waitpid(pid, 0)
