"""How the end of a program is read; tests/integration/test_process.py runs some."""

from __future__ import annotations

import signal

import pytest

from pipeline import process


@pytest.mark.parametrize(
    ("code", "killer"),
    [
        (-9, signal.SIGKILL),
        (128 + 9, signal.SIGKILL),
        (128 + 15, signal.SIGTERM),
        (-11, signal.SIGSEGV),
        (0, None),
        (1, None),
        (128, None),
        (9, None),
        (-signal.SIGWINCH, None),
    ],
)
def test_a_signal_is_seen_behind_a_shell_too(code: int, killer: signal.Signals | None) -> None:
    assert process.killed_by(code) is killer
