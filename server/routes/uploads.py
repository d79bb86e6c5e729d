"""Models by upload: announce the files, send those that are missing, each resumable, announce again."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from db import uploads
from farm import adapter_files, sources
from farm.artifacts import Artifact, ArtifactName
from farm.digests import CHUNK_BYTES
from farm.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    DiskFull,
    ModelEmpty,
    ModelUnsafe,
    QuotaExceeded,
    UploadConflict,
    UploadTooLarge,
)
from server.auth import Submitter
from server.files import UploadWriter
from server.problems import documented
from server.requests import LARGEST, Digest, ModelRequest
from server.settings import ServerSettings
from server.state import FarmState

router = APIRouter(prefix="/v1", tags=["models"])
_OFFSET = {"headers": {"Upload-Offset": {"description": "Bytes that are there.", "schema": {"type": "integer"}}}}


@dataclass(frozen=True)
class MissingFile:
    """A file to send, from `offset` on."""

    digest: str
    size: int
    offset: int


@dataclass(frozen=True)
class ModelView:
    """digest: what a spec names the model by, once nothing is missing."""

    digest: str
    complete: bool
    missing: list[MissingFile]


@dataclass(frozen=True)
class UploadView:
    """How far a file's upload is."""

    digest: str
    size: int
    offset: int
    complete: bool


@router.post("/models", responses=documented(ModelEmpty, UploadConflict, UploadTooLarge, QuotaExceeded, DiskFull))
def announce_model(state: FarmState, token: Submitter, request: ModelRequest) -> ModelView:
    """Say which files make up a model; the answer says which of them must be sent.

    When none is missing any more, the model can be named in a job by its digest.
    """
    files = {name: Artifact(ArtifactName.MODEL_FILE, file.digest, file.size) for name, file in request.files.items()}
    require_model_names(list(files))
    total = sum(file.size for file in files.values())
    if total > state.server.model_bytes:
        raise UploadTooLarge(f"The model has {total} bytes and this farm takes at most {state.server.model_bytes}.")
    uploads.announce(state.database, token, list(files.values()), shared=state.server.shared)
    missing = []
    for file in {file.digest: file for file in files.values()}.values():
        record = uploads.find(state.database, token, file.digest)
        if record.size != file.size:
            raise UploadConflict(f"The file {file.digest[:12]} has {record.size} bytes and not {file.size}; check it.")
        if not state.uploads.stored(record):
            missing.append(MissingFile(file.digest, file.size, state.uploads.offset(record)))
    listing: dict[str, dict[str, str | int]] = {
        name: {"digest": file.digest, "size": file.size} for name, file in files.items()
    }
    if missing:
        return ModelView(sources.digest_of_listing(listing), False, missing)
    return ModelView(state.uploads.assemble(token, files).digest, True, [])


@router.get("/uploads/{digest}", responses=documented(ArtifactMissing))
def get_upload(state: FarmState, token: Submitter, digest: Digest) -> UploadView:
    """How far the upload of an announced file is."""
    record = uploads.find(state.database, token, digest)
    return UploadView(record.digest, record.size, state.uploads.offset(record), state.uploads.stored(record))


@router.patch(
    "/uploads/{digest}",
    status_code=204,
    responses={
        204: _OFFSET,
        **documented(ArtifactMissing, ArtifactDamaged, UploadConflict, UploadTooLarge, DiskFull),
    },
    openapi_extra={
        "requestBody": {
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def send_upload(
    state: FarmState,
    token: Submitter,
    request: Request,
    digest: Digest,
    upload_offset: Annotated[int, Header(ge=0, le=LARGEST)],
    content_length: Annotated[int | None, Header(ge=0, le=LARGEST, include_in_schema=False)] = None,
) -> Response:
    """Send bytes of an announced file from an offset on; the last of them are checked against the digest."""
    record = await run_in_threadpool(uploads.find, state.database, token, digest)
    if await run_in_threadpool(state.uploads.stored, record):
        return _accepted(record.size)
    if upload_offset + (content_length or 0) > record.size:
        raise UploadTooLarge(f"The file {digest[:12]} was announced with {record.size} bytes and this would be more.")
    with ExitStack() as stack:
        writer = await run_in_threadpool(stack.enter_context, state.uploads.writing(record, upload_offset))
        await _receive(request, writer, state.server)
        if writer.complete:
            await run_in_threadpool(state.uploads.finish, record)
        return _accepted(writer.offset)


def require_model_names(names: list[str]) -> None:
    """Only what loading a model needs, and not two models at once: ModelUnsafe, ModelEmpty."""
    if sources.KERAS_FILE in names:
        if not {*names} <= {sources.KERAS_FILE, *adapter_files.NAMES}:
            raise ModelUnsafe(f"A model is either one {sources.KERAS_FILE} or a folder's files; send one of both.")
        return
    for name in names:
        if not (sources.belongs(name, transformers=False) or sources.belongs(name, transformers=True)):
            raise ModelUnsafe(f"{name[:80]!r} is no file of a Keras preset; send only what loading the model needs.")
    if sources.CONFIG not in names:
        raise ModelEmpty(f"A model's folder holds a {sources.CONFIG}; send it with the others.")


async def _receive(request: Request, writer: UploadWriter, limits: ServerSettings) -> None:
    """The body to the disk, in chunks that are few enough for threads and small enough for memory.

    A client that sends nothing for a while, or sends for long, is answered with how far it has come: the file's lock
    and the connection must not be held forever.
    """
    held = bytearray()
    until = time.monotonic() + limits.upload_seconds
    chunks = aiter(request.stream())
    # What came before the client went away is kept for when it comes back.
    with suppress(ClientDisconnect, TimeoutError, StopAsyncIteration):
        while time.monotonic() < until:
            held += await asyncio.wait_for(anext(chunks), limits.upload_idle)
            if len(held) >= CHUNK_BYTES:
                await run_in_threadpool(writer.write, bytes(held))
                held.clear()
    if held:
        await run_in_threadpool(writer.write, bytes(held))


def _accepted(offset: int) -> Response:
    return Response(status_code=204, headers={"Upload-Offset": str(offset)})
