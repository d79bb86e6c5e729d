"""Keeping back what native libraries write to stderr."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def stdout_suppressed() -> Iterator[None]:
    """Inside, the process's own stderr goes to a file that is thrown away; TFLite announces its delegate there.

    Python's `sys.stderr` is not touched when it is something else, as in tests.
    """
    sys.stderr.flush()
    saved = os.dup(STDERR)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, STDERR)
            os.close(saved)


def hold_back_at_exit() -> None:
    """Libraries that take themselves apart at the process's end do so in silence, once Python has said all it has."""
    atexit.register(_close_stderr)


def _close_stderr() -> None:
    sys.stderr.flush()
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, STDERR)
    os.close(sink)
