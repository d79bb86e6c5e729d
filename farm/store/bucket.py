"""The store in an S3-compatible service, with a folder of this machine in front of it.

s3://BUCKET/PREFIX/blobs/<SHA-256>     a file's content, or a folder's listing
s3://BUCKET/PREFIX/owner/id            the id of the database that refers to the files
s3://BUCKET/PREFIX/removals/<random>   somebody removes files at this moment

The service shows an object whole or not at all, and its key is its digest, so it needs no temporary name. What is read
comes into the folder first and is checked there; the folder may be emptied at any time. Who may use the service is said
by the environment, as in every program that uses it: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_REGION.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from botocore.exceptions import BotoCoreError, ClientError

from farm import digests
from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import Blob, disk_full_as_sentence, go_on
from farm.errors import ArtifactDamaged, ArtifactMissing, StoreUnusable
from farm.store.folder import LocalStore
from farm.store.protocol import GRACE_SECONDS, damaged, missing

# An object that is already there is not sent again while it is surely too young to be collected.
FRESH_SECONDS = GRACE_SECONDS / 2
# Removals are announced for so many files at a time; an announcement counts for so long, a removal under it for half.
REMOVAL_BATCH = 200
REMOVAL_SECONDS = 600.0
WAIT_SECONDS = 0.5
# What was used so lately stays in the folder, even beyond its size: somebody may be about to link or send it.
RECENT_SECONDS = 3600.0


class BucketStore:
    """Fulfils ArtifactStore. cache_bytes: how large the folder in front may become."""

    def __init__(self, url: str, folder: Path, cache_bytes: int) -> None:
        self._place = url.removeprefix("s3://").rstrip("/")
        self._folder = folder
        self._cache = LocalStore(folder)
        self._cache_bytes = cache_bytes
        # Another process changes the bucket too, so nothing is remembered of its listings.
        self._service: Any = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)

    def put(self, paths: Mapping[ArtifactName, Path], check: Callable[[], None] = go_on) -> tuple[Artifact, ...]:
        """Take files and folders over; see ArtifactStore."""
        artifacts = self._cache.put(paths, check)
        self._publish(artifacts)
        return artifacts

    def put_bytes(self, name: ArtifactName, data: bytes) -> Artifact:
        """Store a small file; see ArtifactStore."""
        artifact = self._cache.put_bytes(name, data)
        self._send([Blob(artifact.digest, len(data))])
        return artifact

    def has(self, artifact: Artifact) -> bool:
        """Whether all files are in the bucket; see ArtifactStore."""
        try:
            blobs = self._files(artifact).values()
        except (ArtifactMissing, ArtifactDamaged):
            return False
        return all(self._status(blob.digest, blob.size) is not None for blob in blobs)

    def check(self, artifact: Artifact) -> None:
        """Have it in the folder, checked; see ArtifactStore."""
        for blob in self._files(artifact).values():
            self._fetch(blob.digest, artifact.name)

    def materialise(self, artifact: Artifact, target: Path, *, protected: bool) -> None:
        """Show it at `target`; see ArtifactStore."""
        self.check(artifact)
        self._cache.materialise(artifact, target, protected=protected)

    def open(self, artifact: Artifact) -> BinaryIO:
        """A stored file to read; see ArtifactStore."""
        self.check(artifact)
        return self._cache.open(artifact)

    def export(self, artifact: Artifact, target: Path) -> None:
        """Copy it out; see ArtifactStore."""
        self.check(artifact)
        self._cache.export(artifact, target)

    def discard(self, artifact: Artifact) -> None:
        """Remove what is damaged, in the folder and in the bucket; see ArtifactStore."""
        digests_of_files = {artifact.digest}
        with suppress(ArtifactMissing, ArtifactDamaged):
            digests_of_files |= {blob.digest for blob in self._files(artifact).values()}
        for digest in digests_of_files:
            self._cache.path(digest).unlink(missing_ok=True)
            try:
                self._fetch(digest, artifact.name)
            except ArtifactDamaged:
                with _translated():
                    self._service.rm_file(self._key(digest))
            except ArtifactMissing:
                continue

    def owner(self) -> str | None:
        """The id of the store's database; see ArtifactStore."""
        try:
            with _translated():
                content: bytes = self._service.cat_file(self._owner_key)
        except FileNotFoundError:
            return None
        return content.decode().strip() or None

    def set_owner(self, database_id: str, *, replace: bool = False) -> None:
        """Write the id down; see ArtifactStore."""
        if replace or self.owner() is None:
            with _translated():
                self._service.pipe_file(self._owner_key, f"{database_id}\n".encode())

    def remove_incoming(self) -> int:
        """Remove what a dead process left in the folder; see ArtifactStore."""
        return self._cache.remove_incoming()

    def unreferenced(self, artifacts: Iterable[Artifact], *, stored_before: float) -> dict[str, int]:
        """What none of these artifacts uses; see ArtifactStore."""
        used: set[str] = set()
        for artifact in {each.digest: each for each in artifacts}.values():
            used.add(artifact.digest)
            with suppress(ArtifactMissing, ArtifactDamaged):
                used.update(blob.digest for blob in self._files(artifact).values())
        return {
            name: int(status["size"])
            for name, status in self._listed("blobs").items()
            if name not in used and _stored(status) < stored_before
        }

    def remove(self, blobs: Iterable[str], *, stored_before: float) -> int:
        """Remove what is still old; see ArtifactStore.

        Between looking at an object's age and removing it somebody may store it again. So removals are announced
        first, and who stores looks for announcements afterwards, waits for their end, and looks whether all is there.
        """
        waiting = list(blobs)
        count = 0
        while waiting:
            batch, waiting = waiting[:REMOVAL_BATCH], waiting[REMOVAL_BATCH:]
            announced = time.monotonic()
            with self._announced_removal():
                for place, digest in enumerate(batch):
                    if time.monotonic() - announced > REMOVAL_SECONDS / 2:
                        waiting = [*batch[place:], *waiting]
                        break
                    status = self._status(digest)
                    if status is not None and _stored(status) < stored_before:
                        with _translated():
                            self._service.rm_file(self._key(digest))
                        self._cache.path(digest).unlink(missing_ok=True)
                        count += 1
        return count

    def _publish(self, artifacts: Iterable[Artifact]) -> None:
        blobs: dict[str, Blob] = {}
        for artifact in artifacts:
            blobs |= {blob.digest: blob for blob in self._cache.files(artifact).values()}
            if artifact.name.is_folder:
                size = self._cache.path(artifact.digest).stat().st_size
                blobs[artifact.digest] = Blob(artifact.digest, size)
        self._send(list(blobs.values()))

    def _send(self, blobs: list[Blob]) -> None:
        """Have these files in the bucket, young enough not to be collected."""
        for blob in blobs:
            status = self._status(blob.digest, blob.size)
            if status is None or _age(status) >= FRESH_SECONDS:
                self._upload(blob)
        self._wait_for_removals()
        for blob in blobs:
            if self._status(blob.digest, blob.size) is None:
                self._upload(blob)

    def _upload(self, blob: Blob) -> None:
        try:
            with _translated():
                self._service.put_file(str(self._cache.path(blob.digest)), self._key(blob.digest))
        except FileNotFoundError as error:
            raise StoreUnusable(
                f"Nothing can be stored in s3://{self._place} ({error}); make the bucket or correct FARM_STORE_URL."
            ) from error

    def _files(self, artifact: Artifact) -> dict[str, Blob]:
        if artifact.name.is_folder:
            self._fetch(artifact.digest, artifact.name)
        return self._cache.files(artifact)

    def _fetch(self, digest: str, name: ArtifactName) -> None:
        """Have a file in the folder, checked."""
        held = Artifact(ArtifactName.MODEL_FILE, digest, 0)
        try:
            self._cache.check(held)
        except ArtifactMissing:
            pass
        except ArtifactDamaged:
            # The bucket may have it whole.
            self._cache.path(digest).unlink(missing_ok=True)
        else:
            status = self._cache.path(digest).stat()
            with suppress(FileNotFoundError):
                os.utime(self._cache.path(digest), ns=(time.time_ns(), status.st_mtime_ns))
            return
        self._download(digest, name)

    def _download(self, digest: str, name: ArtifactName) -> None:
        status = self._status(digest)
        if status is None:
            raise missing(name)
        self._make_room(int(status["size"]))
        incoming = self._folder / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        draft = incoming / secrets.token_hex(8)
        hasher = hashlib.sha256()
        try:
            with (
                disk_full_as_sentence(),
                _translated(),
                draft.open("wb") as target,
                self._service.open(self._key(digest), "rb", cache_type="readahead") as source,
            ):
                while chunk := source.read(digests.CHUNK_BYTES):
                    hasher.update(chunk)
                    target.write(chunk)
            if hasher.hexdigest() != digest:
                raise damaged(name)
            self._cache.put({ArtifactName.MODEL_FILE: draft})
        except FileNotFoundError as error:
            raise missing(name) from error
        finally:
            draft.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove what was not used for longest; a file that a stage or a reader holds stays for it."""
        held = []
        for path in self._cache.path("").glob("*"):
            with suppress(FileNotFoundError):
                held.append((path.stat().st_atime, path.stat().st_size, path))
        total = sum(each for _, each, _ in held) + size
        for used, each, path in sorted(held):
            if total <= self._cache_bytes or time.time() - used < RECENT_SECONDS:
                return
            path.unlink(missing_ok=True)
            total -= each

    def _status(self, digest: str, size: int | None = None) -> Mapping[str, Any] | None:
        """What the service says of an object; None when it is not there (in that size)."""
        try:
            with _translated():
                status: Mapping[str, Any] = self._service.info(self._key(digest))
        except FileNotFoundError:
            return None
        return status if size is None or status["size"] == size else None

    def _listed(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """All objects below `blobs` or `removals` by their names."""
        with _translated():
            found = self._service.find(f"{self._place}/{kind}", withdirs=False, detail=True)
        # Where there is no object the service's library answers with the folder itself.
        return {key.rsplit("/", 1)[1]: status for key, status in found.items() if status["type"] == "file"}

    @property
    def _owner_key(self) -> str:
        return f"{self._place}/owner/id"

    def _key(self, digest: str) -> str:
        return f"{self._place}/blobs/{digest}"

    @contextmanager
    def _announced_removal(self) -> Iterator[None]:
        key = f"{self._place}/removals/{secrets.token_hex(8)}"
        with _translated():
            self._service.pipe_file(key, b"")
        try:
            yield
        finally:
            with _translated():
                self._service.rm_file(key)

    def _wait_for_removals(self) -> None:
        """Wait for the end of those that are announced now; one that begins later sees how young the objects are."""
        begun: set[str] | None = None
        while True:
            under_way = {name for name, status in self._listed("removals").items() if _age(status) <= REMOVAL_SECONDS}
            begun = under_way if begun is None else begun & under_way
            if not begun:
                return
            time.sleep(WAIT_SECONDS)


def _age(status: Mapping[str, Any]) -> float:
    """Seconds since the object was stored."""
    return time.time() - _stored(status)


def _stored(status: Mapping[str, Any]) -> float:
    moment: datetime = status["LastModified"]
    return moment.timestamp()


@contextmanager
def _translated() -> Iterator[None]:
    """What the service cannot do, as one sentence; FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BotoCoreError, ClientError, PermissionError, ConnectionError, TimeoutError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreUnusable(
            f"The artifact store does not do as asked ({reason}); check FARM_STORE_URL, AWS_ENDPOINT_URL and the"
            " credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
