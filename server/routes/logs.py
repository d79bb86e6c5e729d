"""A job's logs: by offset, and as a stream of server-sent events that a client may take up again anywhere."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from db import jobs
from farm import logs
from farm.errors import AmbiguousJob, JobNotFound
from farm.logs import Cursor, LogLine
from server import visibility
from server.auth import Reader
from server.problems import documented
from server.requests import JobId
from server.state import FarmState, State

router = APIRouter(prefix="/v1/jobs/{job_id}/logs", tags=["logs"])
POLL_SECONDS = 0.25
QUIET_SECONDS = 15.0
CHUNK_LINES = 500
CHUNK_BYTES = 256 << 10
_LOOKUP = documented(JobNotFound, AmbiguousJob)
_EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
Place = Annotated[str | None, Query(max_length=80, description="The `next` of an earlier page, or an event's id.")]


@dataclass(frozen=True)
class LogPage:
    """Lines. next: give it as `after` for what comes then. ended: no more lines will come."""

    lines: list[str]
    next: str | None
    ended: bool


@router.get("", responses=_LOOKUP)
def get_logs(
    state: FarmState,
    token: Reader,
    job_id: JobId,
    after: Place = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> LogPage:
    """The lines after a place, as many as there are now, `limit` allows, and one answer may hold in bytes."""
    found, cursor = visibility.job_id(state, token, job_id), _cursor(after)
    lines, ended = _read(state, found, cursor, limit, state.server.log_page_bytes)
    return LogPage([line.text for line in lines], str(lines[-1].cursor) if lines else after, ended)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": _EVENT}}}, **_LOOKUP},
)
def stream_logs(
    state: FarmState,
    token: Reader,
    job_id: JobId,
    after: Place = None,
    last_event_id: Annotated[str | None, Header(max_length=80)] = None,
) -> StreamingResponse:
    """The lines as they come, each an event whose data is a JSON string, until the event `end`.

    A stream may break off at any time: connect again with the last event's id, and nothing is lost or doubled.
    """
    found, cursor = visibility.job_id(state, token, job_id), _cursor(last_event_id or after)
    return StreamingResponse(_events(state, found, cursor), media_type="text/event-stream")


async def _events(state: State, job_id: str, cursor: Cursor | None) -> AsyncIterator[str]:
    until = time.monotonic() + state.server.stream_seconds
    spoken = time.monotonic()
    yield ": connected\n\n"
    while time.monotonic() < until:
        lines, ended = await run_in_threadpool(_read, state, job_id, cursor, CHUNK_LINES, CHUNK_BYTES)
        if lines:
            yield "".join(f"id: {line.cursor}\ndata: {json.dumps(line.text)}\n\n" for line in lines)
            cursor, spoken = lines[-1].cursor, time.monotonic()
        if ended:
            yield "event: end\ndata: {}\n\n"
            return
        if time.monotonic() - spoken > QUIET_SECONDS:
            # Whatever stands between would otherwise take the connection for dead.
            yield ": still here\n\n"
            spoken = time.monotonic()
        if not lines:
            await asyncio.sleep(POLL_SECONDS)


def _read(
    state: State, job_id: str, cursor: Cursor | None, most_lines: int, most_bytes: int
) -> tuple[list[LogLine], bool]:
    """The next lines, at most so many and about so many bytes of them, and whether they are the last."""
    # Asked before looking: what was written before the job's end is then surely read.
    with state.database.read() as connection:
        ended = jobs.state(connection, job_id).terminal
    found: list[LogLine] = []
    size = 0
    for line in logs.since(state.settings.logs, job_id, cursor, ended=ended):
        if len(found) == most_lines or size >= most_bytes:
            return found, False
        found.append(line)
        size += len(line.text)
    return found, ended


def _cursor(text: str | None) -> Cursor | None:
    return Cursor.parse(text) if text else None
