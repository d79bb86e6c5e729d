"""The store in a folder of this machine.

STORE/blobs/<SHA-256>   a file's content, or a folder's listing
STORE/incoming/         files on their way in
STORE/owner             the id of the database that refers to the files
STORE/lock              shared while files are published, exclusive while some are removed
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from farm import digests
from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import (
    Blob,
    disk_full_as_sentence,
    files_of,
    fsync_folder,
    go_on,
    listing_of,
    removed_on_failure,
    seal,
    write_durably,
)  # fmt: skip
from farm.errors import ArtifactDamaged, ArtifactMissing, FileUnreadable
from farm.store.protocol import damaged, missing

# Without a sandbox a stage could write through a hard link, so that smaller files are copied for it.
COPY_BYTES = 16 << 20


class LocalStore:
    """Fulfils ArtifactStore in a folder, which several machines may share."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        self._checked: dict[str, tuple[int, int, int]] = {}

    def put(self, paths: Mapping[ArtifactName, Path], check: Callable[[], None] = go_on) -> tuple[Artifact, ...]:
        """Take files and folders over; see ArtifactStore."""
        with disk_full_as_sentence():
            files = {name: files_of(name, path) for name, path in paths.items()}
            blobs = write_durably([path for listing in files.values() for path in listing.values()], check)
            stored = []
            for name, listing in files.items():
                entries = {file: blobs[path] for file, path in listing.items()}
                if name.is_folder:
                    draft = self._draft(listing_of(entries))
                    blobs[draft] = seal(draft)
                    stored.append(Artifact(name, blobs[draft].digest, sum(blob.size for blob in entries.values())))
                else:
                    stored.append(Artifact(name, entries[""].digest, entries[""].size))
            self._publish(blobs)
        return tuple(stored)

    def put_bytes(self, name: ArtifactName, data: bytes) -> Artifact:
        """Store a small file; see ArtifactStore."""
        with disk_full_as_sentence():
            draft = self._draft(data)
            blob = seal(draft)
            self._publish({draft: blob})
        return Artifact(name, blob.digest, blob.size)

    def has(self, artifact: Artifact) -> bool:
        """Whether all files are there; see ArtifactStore."""
        try:
            blobs = self.files(artifact).values()
        except (ArtifactMissing, ArtifactDamaged):
            return False
        return all(self._size(blob.digest) == blob.size for blob in blobs)

    def check(self, artifact: Artifact) -> None:
        """Check the content; see ArtifactStore."""
        for blob in self.files(artifact).values():
            self._check_blob(blob.digest, artifact.name)

    def materialise(self, artifact: Artifact, target: Path, *, protected: bool) -> None:
        """Show it at `target`; see ArtifactStore."""
        self.check(artifact)
        target.parent.mkdir(parents=True, exist_ok=True)
        if artifact.name.is_folder:
            target.mkdir()
        with disk_full_as_sentence():
            for file, blob in self.files(artifact).items():
                place = target / file if artifact.name.is_folder else target
                if "/" in file:
                    place.parent.mkdir(parents=True, exist_ok=True)
                if protected or blob.size > COPY_BYTES:
                    place.hardlink_to(self.path(blob.digest))
                else:
                    shutil.copyfile(self.path(blob.digest), place)

    def export(self, artifact: Artifact, target: Path) -> None:
        """Copy it out; see ArtifactStore."""
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            with disk_full_as_sentence(), removed_on_failure(temporary):
                target.parent.mkdir(parents=True, exist_ok=True)
                for file, blob in self.files(artifact).items():
                    place = temporary / file if artifact.name.is_folder else temporary
                    place.parent.mkdir(parents=True, exist_ok=True)
                    self._copy(blob.digest, place, artifact.name)
                temporary.rename(target)
        except OSError as error:
            raise FileUnreadable(
                f"Nothing can be written to {target} ({error.strerror}); choose another place."
            ) from error

    def open(self, artifact: Artifact) -> BinaryIO:
        """A stored file to read; see ArtifactStore."""
        self.check(artifact)
        try:
            return self.path(artifact.digest).open("rb")
        except FileNotFoundError as error:
            raise missing(artifact.name) from error

    def owner(self) -> str | None:
        """The id of the store's database; see ArtifactStore."""
        try:
            return (self._root / "owner").read_text().strip() or None
        except FileNotFoundError:
            return None

    def set_owner(self, database_id: str, *, replace: bool = False) -> None:
        """Write the id down; see ArtifactStore."""
        with disk_full_as_sentence():
            draft = self._draft(f"{database_id}\n".encode())
            seal(draft)
            try:
                if replace:
                    draft.rename(self._root / "owner")
                else:
                    # A link, unlike a rename, leaves what is there: of two databases at once one gets the store.
                    with suppress(FileExistsError):
                        (self._root / "owner").hardlink_to(draft)
            finally:
                draft.unlink(missing_ok=True)
            fsync_folder(self._root)

    def remove_incoming(self) -> int:
        """Remove what a dead process left half-way in; returns how many files. Only while nobody else writes."""
        leftovers = list(self._incoming.iterdir()) if self._incoming.is_dir() else []
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def unreferenced(self, artifacts: Iterable[Artifact], *, stored_before: float) -> dict[str, int]:
        """What none of these artifacts uses; see ArtifactStore."""
        used: set[str] = set()
        for artifact in artifacts:
            used.update((artifact.digest, *(blob.digest for blob in self._files_if_readable(artifact))))
        return {
            path.name: status.st_size
            for path in self._blobs.glob("*")
            if path.name not in used and (status := _old_enough(path, stored_before)) is not None
        }

    def remove(self, blobs: Iterable[str], *, stored_before: float) -> int:
        """Remove what is still old; see ArtifactStore."""
        count = 0
        for digest in blobs:
            # Taken again for each file, so that whoever publishes waits for one removal at most.
            with self._locked(fcntl.LOCK_EX):
                if _old_enough(self.path(digest), stored_before) is not None:
                    self.path(digest).unlink()
                    self._checked.pop(digest, None)
                    count += 1
        return count

    def files(self, artifact: Artifact) -> dict[str, Blob]:
        """The files by path below the folder; a file by the empty path. ArtifactDamaged, ArtifactMissing."""
        if not artifact.name.is_folder:
            return {"": Blob(artifact.digest, artifact.size)}
        self._check_blob(artifact.digest, artifact.name)
        listing = json.loads(self.path(artifact.digest).read_bytes())
        return {file: Blob(entry["digest"], entry["size"]) for file, entry in listing.items()}

    def path(self, digest: str) -> Path:
        """Where a file's content lies, or would lie."""
        return self._blobs / digest

    def discard(self, artifact: Artifact) -> None:
        """Remove what is damaged; see ArtifactStore."""
        for digest in (artifact.digest, *(blob.digest for blob in self._files_if_readable(artifact))):
            try:
                self._check_blob(digest, artifact.name)
            except ArtifactDamaged:
                self.path(digest).unlink(missing_ok=True)
            except ArtifactMissing:
                continue

    def _draft(self, data: bytes) -> Path:
        """A new file on its way in; a draft that cannot be written in full does not stay."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        draft = self._incoming / secrets.token_hex(8)
        try:
            draft.write_bytes(data)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def _publish(self, blobs: Mapping[Path, Blob]) -> None:
        """Rename sealed files to their hashes. They are on disk, under these names, before this returns."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            for path, blob in blobs.items():
                # What is published again is young again, so that nobody collects it before a job refers to it.
                os.utime(path)
                status = path.stat()
                path.rename(self.path(blob.digest))
                self._checked[blob.digest] = _fingerprint(status)
        fsync_folder(self._blobs)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, kind)
            yield

    def _size(self, digest: str) -> int | None:
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def _files_if_readable(self, artifact: Artifact) -> list[Blob]:
        try:
            return list(self.files(artifact).values())
        except (ArtifactDamaged, ArtifactMissing):
            return []

    def _check_blob(self, digest: str, name: ArtifactName) -> None:
        path = self.path(digest)
        try:
            fingerprint = _fingerprint(path.stat())
            if self._checked.get(digest) == fingerprint:
                return
            if digests.of_file(path) != digest:
                raise damaged(name)
        except FileNotFoundError as error:
            raise missing(name) from error
        self._checked[digest] = fingerprint

    def _copy(self, digest: str, target: Path, name: ArtifactName) -> None:
        """Copy and hash in one reading."""
        hasher = hashlib.sha256()
        try:
            source = self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise missing(name) from error
        with source, target.open("wb") as copy:
            while chunk := source.read(digests.CHUNK_BYTES):
                hasher.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        if hasher.hexdigest() != digest:
            raise damaged(name)


def _fingerprint(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _old_enough(path: Path, stored_before: float) -> os.stat_result | None:
    """The status of a file that was published before that time; None for a younger one and for none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status if status.st_mtime < stored_before else None
