"""Keeping back what native libraries write to stderr."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def kept_back() -> Iterator[None]:
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
