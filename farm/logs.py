"""The stages' logs: LOGS/<job>/<nn>-<stage>.<attempt>.log, what the stage's processes print."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from farm.stages import StageName

FOLLOW_SECONDS = 0.1
# A line that never ends is cut here, so that a reader's memory stays bounded.
LINE_BYTES = 1 << 16


def stage_log(logs: Path, job_id: str, position: int, stage: StageName, attempt: int) -> Path:
    """Where a stage's attempt writes; the folder is made."""
    folder = logs / job_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{position:02d}-{stage.value}.{attempt}.log"


def job_logs(logs: Path, job_id: str) -> list[Path]:
    """The job's logs in the order in which they were begun: by attempt, then by stage."""
    found = []
    for path in (logs / job_id).glob("*.log"):
        if match := re.fullmatch(r"(\d+)-[a-z]+\.(\d+)\.log", path.name):
            found.append((int(match[2]), int(match[1]), path))
    return [path for _, _, path in sorted(found)]


def read(logs: Path, job_id: str) -> Iterator[str]:
    """All lines of a job's logs, each log headed by its name."""
    return follow(logs, job_id, ended=lambda: True)


def follow(logs: Path, job_id: str, ended: Callable[[], bool]) -> Iterator[str]:
    """The lines as they come, until `ended` says that the job has ended and everything was read.

    Nothing is lost or doubled: each log is read on from where the last look ended, and only whole lines are handed
    out before the log's end.
    """
    begun = 0
    tail: _Tail | None = None
    while True:
        # Asked before looking: what was written before the job's end is then surely read.
        last = ended()
        paths = job_logs(logs, job_id)
        for path in paths[begun:]:
            if tail is None:
                tail = _Tail(path)
                yield f"== {path.stem} =="
            final = last or path != paths[-1]
            yield from tail.lines(final=final)
            if final:
                begun, tail = begun + 1, None
        if last:
            return
        time.sleep(FOLLOW_SECONDS)


@dataclass
class _Tail:
    """One log, read on from `offset` at each look."""

    path: Path
    offset: int = 0

    def lines(self, *, final: bool) -> Iterator[str]:
        """The lines that were added; an unfinished last line only when the log is `final`."""
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            while line := stream.readline(LINE_BYTES):
                if not line.endswith(b"\n") and len(line) < LINE_BYTES and not final:
                    return
                self.offset = stream.tell()
                yield line.decode(errors="replace").rstrip("\n")
