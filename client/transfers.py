"""Files to and from a remote farm: a transfer that breaks goes on where it ended; digests are checked at the end."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from client.http import HttpFarm
from farm import digests
from farm.artifacts import Artifact
from farm.errors import ArtifactDamaged, FarmUnreachable, FileUnreadable, UploadConflict
from farm.sealing import disk_full_as_sentence

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


class Patience:
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


def upload(http: HttpFarm, path: Path, digest: str, offset: int) -> None:
    """Send a file's bytes from `offset` on until the farm has all; ArtifactDamaged, FileUnreadable, FarmUnreachable."""
    size = path.stat().st_size
    patience = Patience()
    while True:
        try:
            with http.stream(
                "PATCH",
                f"/v1/uploads/{digest}",
                content=_bytes_of(path, offset, size),
                headers={
                    "Upload-Offset": str(offset),
                    "Content-Length": str(size - offset),
                    "Content-Type": "application/octet-stream",
                },
            ):
                return
        except (FarmUnreachable, UploadConflict) as error:
            # After a cut the farm may still be writing what it got, and have more than this side knows of.
            patience.use(offset, error)
        offset = _offset(http, digest, patience, offset)


def download(http: HttpFarm, path: str, artifact: Artifact, target: Path) -> None:
    """Fetch a file to `target`, whole or not at all; ArtifactDamaged, FarmUnreachable, DiskFull, FileUnreadable."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with disk_full_as_sentence():
            target.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as stream:
                hasher = hashlib.sha256()
                for chunk in _chunks(http, path, artifact):
                    hasher.update(chunk)
                    stream.write(chunk)
            if hasher.hexdigest() != artifact.digest:
                raise ArtifactDamaged(f"What arrived of {artifact.name} does not have its digest; download it again.")
            draft.rename(target)
    except OSError as error:
        raise FileUnreadable(f"Nothing can be written to {target} ({error.strerror}); choose another place.") from error
    finally:
        draft.unlink(missing_ok=True)


def _chunks(http: HttpFarm, path: str, artifact: Artifact) -> Iterator[bytes]:
    """The file's bytes over as many requests as it takes."""
    offset = 0
    patience = Patience()
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
            patience.use(offset, http.unreachable(error))
        except FarmUnreachable as error:
            patience.use(offset, error)


def _offset(http: HttpFarm, digest: str, patience: Patience, known: int) -> int:
    while True:
        try:
            state: UploadState = http.ask(UploadState, "GET", f"/v1/uploads/{digest}")
        except FarmUnreachable as error:
            patience.use(known, error)
        else:
            return state.offset


def _bytes_of(path: Path, offset: int, size: int) -> Iterator[bytes]:
    """Exactly the bytes that were announced; a file that has become shorter meanwhile is an error here."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            while offset < size:
                chunk = stream.read(min(digests.CHUNK_BYTES, size - offset))
                if not chunk:
                    raise FileUnreadable(f"{path} became shorter while it was uploaded; submit the model again.")
                offset += len(chunk)
                yield chunk
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read ({error.strerror}); check it and submit again.") from error
