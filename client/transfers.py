"""Files to and from a remote farm: a transfer that breaks goes on where it ended; digests are checked at the end."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from client.http import HttpFarm
from farm import digests
from farm.artifacts import Artifact
from farm.durable_writes import disk_full_as_sentence
from farm.errors import ArtifactDamaged, FarmUnreachable, FileUnreadable, UploadConflict

# A transfer is given up when it fails so often without a single byte getting through.
FRUITLESS_TRIES = 6
PAUSE_SECONDS = 0.5
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class UploadState:
    """What the farm has of a file; as the API's UploadView."""

    digest: str
    size: int
    offset: int
    complete: bool


class RetryBudget:
    """Counts the tries that got nowhere and waits longer after each."""

    def __init__(self) -> None:
        self._tries = 0
        self._reached = -1

    def use(self, reached: int, error: Exception) -> None:
        """Wait before the next try, or raise the error when there have been too many; `reached` is the offset."""
        self._tries = 0 if reached > self._reached else self._tries + 1
        self._reached = max(reached, self._reached)
        if self._tries >= FRUITLESS_TRIES:
            raise error
        time.sleep(PAUSE_SECONDS * 2**self._tries if self._tries else 0.0)


def upload(http: HttpFarm, name: str, stream: BinaryIO, digest: str, offset: int) -> None:
    """Send an open file's bytes from `offset` on until the farm has all; name: as sentences call it.

    ArtifactDamaged, FileUnreadable, FarmUnreachable.
    """
    size = os.fstat(stream.fileno()).st_size
    budget = RetryBudget()
    while True:
        try:
            with http.stream(
                "PATCH",
                f"/v1/uploads/{digest}",
                content=_bytes_of(name, stream, offset, size),
                headers={
                    "Upload-Offset": str(offset),
                    "Content-Length": str(size - offset),
                    "Content-Type": "application/octet-stream",
                },
            ) as answer:
                # The farm ends a request that takes long; the rest goes in the next one.
                if int(answer.headers.get("Upload-Offset", size)) >= size:
                    return
        except (FarmUnreachable, UploadConflict) as error:
            # After a cut the farm may still be writing what it got, and have more than this side knows of.
            budget.use(offset, error)
        offset = _offset(http, digest, budget, offset)


def download(http: HttpFarm, path: str, artifact: Artifact, target: Path) -> None:
    """Fetch a file to `target`, whole or not at all; ArtifactDamaged, FarmUnreachable, DiskFull, FileUnreadable.

    What came until the farm was out of reach or the user had enough is kept beside `target`, for the next call.
    """
    try:
        with disk_full_as_sentence():
            target.parent.mkdir(parents=True, exist_ok=True)
            with _draft(target, artifact) as stream:
                draft = Path(stream.name)
                try:
                    kept = stream.seek(0, os.SEEK_END)
                    # What was kept may be what is wrong; then all of it is fetched.
                    if not _complete(http, path, artifact, stream) and not (
                        kept and _complete(http, path, artifact, stream, afresh=True)
                    ):
                        raise ArtifactDamaged(
                            f"What arrived of {artifact.name} does not have its digest; download it again."
                        )
                    draft.rename(target)
                except (FarmUnreachable, KeyboardInterrupt):
                    raise
                except BaseException:
                    draft.unlink(missing_ok=True)
                    raise
    except OSError as error:
        raise FileUnreadable(f"Nothing can be written to {target} ({error.strerror}); choose another place.") from error


def _draft(target: Path, artifact: Artifact) -> BinaryIO:
    """The file beside `target` that holds what has come of this artifact; another one while somebody fetches it too."""
    draft = target.with_name(f".{target.name}.{artifact.digest[:16]}.part")
    stream = draft.open("a+b")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it until now may have made it the target.
        if draft.exists() and os.path.samestat(draft.stat(), os.fstat(stream.fileno())):
            return stream
    except BlockingIOError:
        pass
    stream.close()
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part").open("x+b")


def _complete(http: HttpFarm, path: str, artifact: Artifact, stream: BinaryIO, *, afresh: bool = False) -> bool:
    """Fetch what the file lacks; whether it has the artifact's digest then."""
    if afresh or stream.seek(0, os.SEEK_END) > artifact.size:
        stream.truncate(0)
    stream.seek(0)
    hasher = hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        hasher.update(chunk)
    for chunk in _chunks(http, path, artifact, stream.tell()):
        hasher.update(chunk)
        stream.write(chunk)
    stream.flush()
    return hasher.hexdigest() == artifact.digest


def _chunks(http: HttpFarm, path: str, artifact: Artifact, offset: int) -> Iterator[bytes]:
    """The file's bytes from `offset` on, over as many requests as it takes."""
    budget = RetryBudget()
    while offset < artifact.size:
        # If-Range: should the file be another one by now, all of it comes, and the digest tells.
        headers = {"Range": f"bytes={offset}-", "If-Range": f'"{artifact.digest}"'} if offset else {}
        try:
            with http.stream("GET", path, headers=headers) as answer:
                if offset and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    raise ArtifactDamaged(f"{artifact.name} has changed while it was fetched; download it again.")
                for chunk in answer.iter_raw(CHUNK_BYTES):
                    offset += len(chunk)
                    yield chunk
            if offset < artifact.size:
                raise httpx.ReadError("the answer ended early")
        except httpx.TransportError as error:
            budget.use(offset, http.unreachable(error))
        except FarmUnreachable as error:
            budget.use(offset, error)


def _offset(http: HttpFarm, digest: str, budget: RetryBudget, known: int) -> int:
    while True:
        try:
            state: UploadState = http.ask(UploadState, "GET", f"/v1/uploads/{digest}")
        except FarmUnreachable as error:
            budget.use(known, error)
        else:
            return state.offset


def _bytes_of(name: str, stream: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    """Exactly the bytes that were announced; a file that has become shorter meanwhile is an error here."""
    try:
        stream.seek(offset)
        while offset < size:
            chunk = stream.read(min(digests.CHUNK_BYTES, size - offset))
            if not chunk:
                raise FileUnreadable(f"{name} became shorter while it was uploaded; submit the model again.")
            offset += len(chunk)
            yield chunk
    except OSError as error:
        raise FileUnreadable(f"{name} cannot be read ({error.strerror}); check it and submit again.") from error
