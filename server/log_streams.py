"""Streams of a job's log lines: however many listen, one reader looks at the job's files.

A listener first catches up by itself, from wherever it was. Then it takes what the job's reader has read lately out of
memory, and sleeps until there is more; one that was too slow for that memory catches up again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from db import jobs
from db.session import Database
from farm import logs
from farm.errors import FarmError
from farm.logs import Cursor, LogLine
from farm.settings import Settings

POLL_SECONDS = 0.25
QUIET_SECONDS = 15.0
KEPT_BYTES = 1 << 20
CHUNK_LINES = 500
CHUNK_BYTES = 256 << 10

# The lines after a place, at most one chunk of them, and whether these are the last.
Read = Callable[[str, Cursor | None], tuple[list[LogLine], bool]]


def event(line: LogLine) -> str:
    """The line as a server-sent event."""
    return f"id: {line.cursor}\ndata: {json.dumps(line.text)}\n\n"


def read(
    settings: Settings, database: Database, job_id: str, cursor: Cursor | None, most_lines: int = CHUNK_LINES,
    most_bytes: int = CHUNK_BYTES,
) -> tuple[list[LogLine], bool]:  # fmt: skip
    """The next lines, at most so many and about so many bytes of them, and whether they are the last."""
    # Asked before looking: what was written before the job's end is then surely read.
    with database.read() as connection:
        ended = jobs.state(connection, job_id).terminal
    found: list[LogLine] = []
    size = 0
    for line in logs.since(settings.logs, job_id, cursor, ended=ended):
        if len(found) == most_lines or size >= most_bytes:
            return found, False
        found.append(line)
        size += len(line.text)
    return found, ended


@dataclass
class _Reader:
    """What was read of one job lately. first: the number of the oldest line that is kept, before: the cursor in
    front of it; places: after which number of lines a cursor stands; ended: there will be no more; failed: it could
    not be read."""

    listeners: int = 0
    first: int = 0
    before: Cursor | None = None
    size: int = 0
    lines: deque[tuple[Cursor, str]] = field(default_factory=deque)
    places: dict[Cursor | None, int] = field(default_factory=dict)
    ended: bool = False
    failed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def begin(self, cursor: Cursor | None) -> None:
        """Read on from here."""
        self.before, self.places = cursor, {cursor: 0}

    def take(self, line: LogLine) -> None:
        """Keep one more line, and drop the oldest beyond the limit."""
        text = event(line)
        self.lines.append((line.cursor, text))
        self.size += len(text)
        self.places[line.cursor] = self.first + len(self.lines)
        while self.size > KEPT_BYTES:
            cursor, dropped = self.lines.popleft()
            self.size -= len(dropped)
            del self.places[self.before]
            self.before, self.first = cursor, self.first + 1

    def after(self, cursor: Cursor | None) -> list[tuple[Cursor, str]] | None:
        """The kept lines after the cursor; None when they are not all kept, or not read yet."""
        place = self.places.get(cursor)
        if place is None:
            return None
        return [self.lines[number] for number in range(place - self.first, len(self.lines))]

    def tell(self) -> None:
        """Wake all who listen."""
        self.changed.set()
        self.changed = asyncio.Event()


class LogStreams:
    """The readers of all jobs that somebody listens to."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._readers: dict[str, _Reader] = {}

    async def follow(self, job_id: str, cursor: Cursor | None, seconds: float) -> AsyncIterator[str]:
        """Events from the cursor on for so long, `end` as the last; comments in a silence."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        reader = self._readers.setdefault(job_id, _Reader())
        reader.listeners += 1
        try:
            yield ": connected\n\n"
            while clock() < until:
                # Before the look: what comes after it wakes this listener.
                changed = reader.changed
                found = reader.after(cursor)
                ended = reader.ended
                if found is None:
                    try:
                        lines, ended = await run_in_threadpool(self._read, job_id, cursor)
                    except FarmError:
                        # The answer has begun; who connects again is told why.
                        return
                    found = [(line.cursor, event(line)) for line in lines]
                if found:
                    cursor = found[-1][0]
                    yield "".join(text for _, text in found)
                if ended:
                    yield "event: end\ndata: {}\n\n"
                    return
                if found:
                    continue
                if reader.failed:
                    # Who connects again is told why.
                    return
                self._go_on(job_id, reader, cursor)
                try:
                    await asyncio.wait_for(changed.wait(), min(QUIET_SECONDS, max(until - clock(), 0.0)))
                except TimeoutError:
                    # Whatever stands between would otherwise take the connection for dead. No empty line: behind an
                    # event with an id some readers take it for another event.
                    yield ": still here\n"
        finally:
            reader.listeners -= 1
            if not reader.listeners:
                self._readers.pop(job_id, None)
                if reader.task is not None:
                    reader.task.cancel()

    def _go_on(self, job_id: str, reader: _Reader, cursor: Cursor | None) -> None:
        """Make sure that somebody reads; whoever has caught up first says from where."""
        if reader.task is None or reader.task.done():
            if not reader.places:
                reader.begin(cursor)
            reader.task = asyncio.create_task(self._keep_reading(job_id, reader))

    async def _keep_reading(self, job_id: str, reader: _Reader) -> None:
        cursor = reader.lines[-1][0] if reader.lines else next(iter(reader.places))
        while not reader.ended:
            try:
                lines, ended = await run_in_threadpool(self._read, job_id, cursor)
            except FarmError:
                reader.failed = True
                reader.tell()
                return
            for line in lines:
                reader.take(line)
            reader.ended = ended
            if lines or ended:
                cursor = lines[-1].cursor if lines else cursor
                reader.tell()
            if not lines:
                await asyncio.sleep(POLL_SECONDS)
