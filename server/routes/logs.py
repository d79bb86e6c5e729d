"""A job's logs: by offset, and as a stream of server-sent events that a client may take up again anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from farm.errors import AmbiguousJob, JobNotFound
from farm.logs import Cursor
from server import log_streams, visibility
from server.auth import Reader
from server.problems import documented
from server.requests import JobId
from server.state import FarmState

router = APIRouter(prefix="/v1/jobs/{job_id}/logs", tags=["logs"])
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
    lines, ended = log_streams.read(state.settings, state.database, found, cursor, limit, state.server.log_page_bytes)
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
    return StreamingResponse(
        state.streams.follow(found, cursor, state.server.stream_seconds), media_type="text/event-stream"
    )


def _cursor(text: str | None) -> Cursor | None:
    return Cursor.parse(text) if text else None
