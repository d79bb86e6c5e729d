"""A job's files, whole or a range of their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import Response, StreamingResponse

from db import jobs
from farm.artifacts import Artifact, ArtifactName
from farm.digests import CHUNK_BYTES
from farm.errors import AmbiguousJob, ArtifactDamaged, ArtifactMissing, JobNotFinished, JobNotFound
from farm.store import ArtifactStore
from server import visibility
from server.auth import Reader
from server.problems import documented
from server.requests import JobId
from server.state import FarmState, State

router = APIRouter(prefix="/v1/jobs/{job_id}/artifacts", tags=["artifacts"])
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/{name}",
    response_class=StreamingResponse,
    responses={
        200: {**_BINARY, "description": "The file."},
        206: {**_BINARY, "description": "The range that was asked for."},
        304: {"description": "The client has it already."},
        416: {"description": "The range lies behind the file's end."},
        **documented(JobNotFound, AmbiguousJob, JobNotFinished, ArtifactMissing, ArtifactDamaged),
    },
)
def get_artifact(
    state: FarmState,
    token: Reader,
    job_id: JobId,
    name: ArtifactName,
    byte_range: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The file's content; its ETag is its SHA-256."""
    artifact = _find(state, visibility.job_id(state, token, job_id), name)
    tag = f'"{artifact.digest}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if if_none_match and (if_none_match.strip() == "*" or tag in if_none_match):
        return Response(status_code=304, headers=headers)
    wanted = (0, artifact.size)
    status = 200
    if byte_range is not None and if_range in (None, tag):
        chosen = parse_range(byte_range, artifact.size)
        if chosen is not None:
            wanted, status = chosen, 206
    start, stop = wanted
    if status == 206:
        if start >= stop:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{artifact.size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{artifact.size}"
    headers["Content-Length"] = str(stop - start)
    headers["Content-Disposition"] = f'attachment; filename="{name.value}"'
    # Damage is told before the answer begins. Opened only when it is sent: the client may be gone by then.
    state.store.check(artifact)
    content = _chunks(state.store, artifact, start, stop)
    return StreamingResponse(content, status, headers, "application/octet-stream")


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """`bytes=2-5` -> (2, 6); an empty range when it lies behind the end; None for what is to be ignored (RFC 9110)."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", text.strip(), re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start = int(match[1])
    stop = int(match[2]) + 1 if match[2] else size
    if stop <= start and match[2]:
        return None
    return (start, min(stop, size)) if start < size else (size, size)


def _find(state: State, job_id: str, name: ArtifactName) -> Artifact:
    with state.database.read() as connection:
        job = jobs.get(connection, job_id)
    for artifact in job.artifacts:
        if artifact.name is name and not name.is_folder:
            return artifact
    if not job.state.terminal:
        raise JobNotFinished(f"Job {job.id} is {job.state} and has no {name} yet; `farm watch {job.id}` waits.")
    raise ArtifactMissing(f"Job {job.id} has no artifact {name}; `farm status {job.id}` shows what it made.")


def _chunks(store: ArtifactStore, artifact: Artifact, start: int, stop: int) -> Iterator[bytes]:
    with store.open(artifact) as stream:
        stream.seek(start)
        while start < stop and (chunk := stream.read(min(CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk
