"""Log streams share one reader a job."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable

import pytest

from farm.errors import JobNotFound
from farm.logs import Cursor, LogLine
from server import log_streams
from server.log_streams import LogStreams

LISTENERS = 200


class Job:
    """A job's lines, handed out a few at a time, and how often they were looked at."""

    def __init__(self, lines: int = 0) -> None:
        self.lines: list[LogLine] = []
        self.ended = False
        self.gone = False
        self.looks = 0
        self.grow(lines)

    def grow(self, count: int) -> None:
        for _ in range(count):
            number = len(self.lines) + 1
            self.lines.append(LogLine(f"line {number}", Cursor("00-fetch.1", number)))

    def read(self, _job_id: str, cursor: Cursor | None) -> tuple[list[LogLine], bool]:
        self.looks += 1
        if self.gone:
            raise JobNotFound("gone")
        ended = self.ended
        place = cursor.offset if cursor is not None else 0
        found = self.lines[place : place + 7]
        return found, ended and place + len(found) == len(self.lines)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "POLL_SECONDS", 0.01)


def listen(job: Job, cursors: list[Cursor | None], meanwhile: Callable[[], None]) -> list[str]:
    """What each listener got, while the job goes on."""

    async def gather() -> list[str]:
        streams = LogStreams(job.read)

        async def one(cursor: Cursor | None) -> str:
            return "".join([text async for text in streams.follow("job", cursor, 20)])

        listeners = [asyncio.create_task(one(cursor)) for cursor in cursors]
        for _ in range(20):
            await asyncio.sleep(0.02)
            meanwhile()
        job.ended = True
        texts = await asyncio.gather(*listeners)
        assert streams._readers == {}
        return texts

    return asyncio.run(gather())


def lines_of(text: str) -> list[str]:
    return [json.loads(line) for line in re.findall(r"^data: (\".*)$", text, re.MULTILINE)]


def test_many_listeners_share_a_reader() -> None:
    job, started = Job(30), time.monotonic()
    texts = listen(job, [None] * LISTENERS, lambda: None)
    looks = (time.monotonic() - started) / log_streams.POLL_SECONDS
    assert [lines_of(text) for text in texts] == [[line.text for line in job.lines]] * LISTENERS
    # Each catches up by itself, in five looks, one that finds nothing, and perhaps a last one; then one alone looks.
    assert job.looks <= LISTENERS * 7 + looks + 1


def test_many_listeners_lose_and_double_nothing() -> None:
    job = Job(30)
    cursors = [None if number % 2 else Cursor("00-fetch.1", number % 30 or 1) for number in range(LISTENERS)]
    texts = listen(job, cursors, lambda: job.grow(5))
    everything = [line.text for line in job.lines]
    assert len(everything) == 130
    for cursor, text in zip(cursors, texts, strict=True):
        assert lines_of(text) == everything[cursor.offset if cursor else 0 :]
        assert text.endswith("event: end\ndata: {}\n\n")


def test_a_slow_memory_is_caught_up_from_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "KEPT_BYTES", 100)
    job = Job(3)
    texts = listen(job, [None] * 5, lambda: job.grow(12))
    assert [lines_of(text) for text in texts] == [[line.text for line in job.lines]] * 5


def test_a_job_that_is_gone_before_the_first_look_ends_its_stream() -> None:
    job = Job(3)
    job.gone = True
    (text,) = listen(job, [None], lambda: None)
    assert text == ": connected\n\n"


def test_a_job_that_goes_ends_its_streams() -> None:
    job = Job(3)
    # Once it was looked at: a busy machine may not have come to that yet.
    (text,) = listen(job, [None], lambda: setattr(job, "gone", job.looks > 0))
    assert lines_of(text) == ["line 1", "line 2", "line 3"]
    assert "event: end" not in text
