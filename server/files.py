"""Uploads on their way in: one file a digest, written on where the last connection broke, then moved into the store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil

from db import uploads
from db.session import Database
from db.uploads import UploadRecord
from farm import digests
from farm.access import TokenView
from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import disk_full_as_sentence
from farm.errors import ArtifactDamaged, DiskFull, UploadConflict, UploadTooLarge
from farm.settings import Settings
from farm.store import ArtifactStore


class UploadFolder:
    """The folder of unfinished files, beside the store and on its file system."""

    def __init__(self, settings: Settings, database: Database, store: ArtifactStore) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._folder = settings.home / "uploads"

    def offset(self, record: UploadRecord) -> int:
        """How many bytes of the file are there."""
        if self.stored(record):
            return record.size
        part = self._part(record)
        try:
            there = part.stat().st_size
        except FileNotFoundError:
            return 0
        if there > record.size:
            # Announced again with another size: what came under the wrong one is useless.
            part.unlink(missing_ok=True)
            return 0
        return there

    def stored(self, record: UploadRecord) -> bool:
        """Whether the store has the file; one that it lost is asked for again."""
        if not record.complete:
            return False
        if self._store.has(_artifact(record)):
            return True
        uploads.lost(self._database, record.digest)
        return False

    @contextmanager
    def writing(self, record: UploadRecord, offset: int) -> Iterator[UploadWriter]:
        """Write on from `offset`; UploadConflict when the file does not end there or somebody else writes it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not truncated on opening: what an earlier connection brought stays.
        descriptor = os.open(self._part(record), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UploadConflict(
                    f"Another upload of the file {record.digest[:12]} is under way; try again when it has ended."
                ) from error
            there = stream.seek(0, os.SEEK_END)
            if there != offset:
                raise UploadConflict(
                    f"The file {record.digest[:12]} has {there} bytes here, not {offset}; go on from there."
                )
            yield UploadWriter(stream, record, self._settings)

    def finish(self, record: UploadRecord) -> None:
        """Check a file that has all its bytes and move it into the store; ArtifactDamaged removes it."""
        part = self._part(record)
        if digests.of_file(part) != record.digest:
            part.unlink()
            raise ArtifactDamaged(
                f"The uploaded bytes do not have the digest {record.digest[:12]}; upload the file again from its start."
            )
        with self._not_reconciling():
            self._store.put({ArtifactName.MODEL_FILE: part})
            uploads.complete(self._database, record)

    def assemble(self, token: TokenView, files: Mapping[str, Artifact]) -> Artifact:
        """Make a model of files that the store has: the listing under whose digest a stage finds them."""
        listing = digests.canonical_json(
            {name: {"digest": file.digest, "size": file.size} for name, file in sorted(files.items())}
        )
        size = sum(file.size for file in files.values())
        with self._not_reconciling():
            stored = self._store.put_bytes(ArtifactName.SOURCE, listing)
            uploads.complete_model(self._database, token, stored.digest, size)
        return Artifact(ArtifactName.SOURCE, stored.digest, size)

    def _part(self, record: UploadRecord) -> Path:
        """A file of the token's own: nobody waits for, or learns of, what another sends."""
        return self._folder / f"{record.token_id}-{record.digest}.part"

    @contextmanager
    def _not_reconciling(self) -> Iterator[None]:
        """A worker that starts removes what nothing refers to, under the other side of this lock."""
        with (self._settings.home / "reconciliation.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield


class UploadWriter:
    """Takes the chunks of one request."""

    def __init__(self, stream: BinaryIO, record: UploadRecord, settings: Settings) -> None:
        self._stream = stream
        self._record = record
        self._settings = settings
        self.offset = stream.tell()

    @property
    def complete(self) -> bool:
        """Whether all announced bytes are there."""
        return self.offset == self._record.size

    def write(self, chunk: bytes) -> None:
        """Add a chunk; UploadTooLarge beyond the announced size, DiskFull."""
        if self.offset + len(chunk) > self._record.size:
            raise UploadTooLarge(
                f"The file {self._record.digest[:12]} was announced with {self._record.size} bytes and has more."
            )
        if psutil.disk_usage(str(self._settings.home)).free < self._settings.disk_reserve + len(chunk):
            raise DiskFull("The farm's disk is full; its operator has to free some room before more can be uploaded.")
        with disk_full_as_sentence():
            view = memoryview(chunk)
            while view:
                written = self._stream.write(view)
                view = view[written:]
                self.offset += written


def _artifact(record: UploadRecord) -> Artifact:
    return Artifact(ArtifactName.MODEL_FILE, record.digest, record.size)
