"""A stage's log: what its processes print comes through a pipe, so that no stage can fill the disk with it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LIMIT_BYTES = 16 << 20
PIECE_BYTES = 1 << 16
# A process can make its pipe hold this much, by default a sixteenth of it.
PIPE_BYTES = 1 << 20
CUT = b"\nfarm: the stage printed more than 16 MiB; the rest is left out.\n"


class StageLog:
    """Carries what comes out of a pipe into a file, up to its limit; what comes after is read and thrown away."""

    def __init__(self, path: Path, reading: int) -> None:
        self._path = path
        self._file: int | None = None
        self._reading = reading
        self._left = LIMIT_BYTES
        os.set_blocking(reading, False)

    def fileno(self) -> int:
        """The pipe's end, for selectors."""
        return self._reading

    def begin(self) -> None:
        """Open the file, so that whoever follows the job's logs sees it; what was printed before comes with it."""
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)

    def carry(self) -> bool:
        """Carry on what there is, at most a piece; False at the pipe's end."""
        try:
            data = os.read(self._reading, PIECE_BYTES)
        except BlockingIOError:
            return True
        self._write(data)
        return bool(data)

    def close(self) -> None:
        """Carry on what is left once the processes have ended."""
        if self._file is not None:
            left = PIPE_BYTES
            with suppress(BlockingIOError):
                while left > 0 and (data := os.read(self._reading, PIECE_BYTES)):
                    self._write(data)
                    left -= len(data)
            os.close(self._file)
        os.close(self._reading)

    def _write(self, data: bytes) -> None:
        if self._file is None or self._left <= 0:
            return
        kept = data[: self._left]
        self._left -= len(kept)
        # A full disk costs the log its end; what it costs the job shows where its outputs are stored.
        with suppress(OSError):
            os.write(self._file, kept if self._left > 0 else kept + CUT)
