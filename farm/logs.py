"""The stages' logs: LOGS/<job>/<nn>-<stage>.<attempt>.log, what the stage's processes print."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from farm.errors import UsageError
from farm.stages import StageName

FOLLOW_SECONDS = 0.1
STAGE = "|".join(StageName)
# A line that never ends is cut here, so that a reader's memory stays bounded.
LINE_BYTES = 1 << 16


def printable(text: str) -> str:
    """The text as one line that moves no cursor and starts no line of its own: controls are spelled out."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def stage_log(logs: Path, job_id: str, position: int, stage: StageName, attempt: int) -> Path:
    """Where a stage's attempt writes; the folder is made."""
    folder = logs / job_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{position:02d}-{stage.value}.{attempt}.log"


def job_logs(logs: Path, job_id: str) -> list[Path]:
    """The job's logs in the order in which they were begun: by attempt, then by stage."""
    found = []
    for path in (logs / job_id).glob("*.log"):
        if match := re.fullmatch(rf"(\d+)-(?:{STAGE})\.(\d+)\.log", path.name):
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
    cursor: Cursor | None = None
    while True:
        # Asked before looking: what was written before the job's end is then surely read.
        last = ended()
        for line in since(logs, job_id, cursor, ended=last):
            cursor = line.cursor
            yield line.text
        if last:
            return
        time.sleep(FOLLOW_SECONDS)


@dataclass(frozen=True)
class Cursor:
    """How far a reader has come: the log's name and the bytes of it that were handed out."""

    log: str
    offset: int

    def __str__(self) -> str:
        return f"{self.log}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` made; UsageError for anything else."""
        if match := re.fullmatch(rf"(\d{{1,4}}-(?:{STAGE})\.\d{{1,9}}):(\d{{1,15}})", text, re.ASCII):
            return cls(match[1], int(match[2]))
        raise UsageError(f"{text[:80]!r} is no place in a job's logs; give one that came with a line.")


@dataclass(frozen=True)
class LogLine:
    """A line, and the cursor after which the next one comes."""

    text: str
    cursor: Cursor


def since(logs: Path, job_id: str, cursor: Cursor | None, *, ended: bool) -> Iterator[LogLine]:
    """What there is now after the cursor, all when there is none; a last unfinished line only when the job has ended.

    A log of which the cursor knows nothing is read from the start, so that nothing is lost.
    """
    paths = job_logs(logs, job_id)
    names = [path.stem for path in paths]
    first = names.index(cursor.log) if cursor is not None and cursor.log in names else 0
    for path in paths[first:]:
        offset = cursor.offset if cursor is not None and cursor.log == path.stem else None
        if offset is None:
            yield LogLine(f"== {path.stem} ==", Cursor(path.stem, 0))
        yield from _lines(path, offset or 0, final=ended or path != paths[-1])


def _lines(path: Path, offset: int, *, final: bool) -> Iterator[LogLine]:
    """The log's lines from the offset on; an unfinished last line only when the log is `final`."""
    with path.open("rb") as stream:
        stream.seek(offset)
        while line := stream.readline(LINE_BYTES):
            if not line.endswith(b"\n") and len(line) < LINE_BYTES and not final:
                return
            yield LogLine(line.decode(errors="replace").rstrip("\n"), Cursor(path.stem, stream.tell()))
