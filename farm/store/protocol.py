"""What a store does, and the two sentences of an artifact that it can no longer give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from farm.artifacts import Artifact, ArtifactName
from farm.durable_writes import go_on
from farm.errors import ArtifactDamaged, ArtifactMissing

# A running job stores files before the database refers to them. Files younger than this are never collected.
GRACE_SECONDS = 24 * 3600.0


class ArtifactStore(Protocol):
    """Keeps artifacts by their digest. Every reading method checks the hash: ArtifactDamaged, ArtifactMissing.

    A folder is stored as its files and a listing, the canonical JSON {path: {digest, size}}, whose own digest is the
    folder's digest. A store elsewhere raises StoreUnusable from every method when it does not answer.
    """

    def put(self, paths: Mapping[ArtifactName, Path], check: Callable[[], None] = go_on) -> tuple[Artifact, ...]:
        """Take files and folders over from a stage's outputs (they are moved); ArtifactDamaged for links; DiskFull.

        check: called now and then, from several threads; what it raises ends this.
        """

    def put_bytes(self, name: ArtifactName, data: bytes) -> Artifact:
        """Store a small file; DiskFull."""

    def has(self, artifact: Artifact) -> bool:
        """Whether all its files are there in their full size; their content is not read."""

    def check(self, artifact: Artifact) -> None:
        """Read all of it, unless this process did before and the files have not changed since."""

    def materialise(self, artifact: Artifact, target: Path, *, protected: bool) -> None:
        """Show it at `target` for a stage to read; `protected` says that the stage cannot write there."""

    def open(self, artifact: Artifact) -> BinaryIO:
        """A stored file (no folder) to read from any place on, its content checked before."""

    def discard(self, artifact: Artifact) -> None:
        """Remove those of its files whose content is wrong, so that they can be stored again."""

    def export(self, artifact: Artifact, target: Path) -> None:
        """Copy it to `target`, whole or not at all; DiskFull, FileUnreadable."""

    def owner(self) -> str | None:
        """The id of the database that refers to the files; None of a store that no database has taken yet."""

    def set_owner(self, database_id: str, *, replace: bool = False) -> None:
        """Write the id down; one that is already there stays unless it is to be replaced."""

    def remove_incoming(self) -> int:
        """Remove what a dead process left half-way in; returns how many files. Only while nobody else writes."""

    def unreferenced(self, artifacts: Iterable[Artifact], *, stored_before: float) -> dict[str, int]:
        """The sizes, by digest, of files that none of these artifacts uses and that were stored before that time."""

    def remove(self, blobs: Iterable[str], *, stored_before: float) -> int:
        """Remove those of the files that were stored before that time (seconds since 1970); returns how many.

        A file that somebody stores again in the meantime stays, and so does its content for whoever has it open.
        """


def damaged(name: ArtifactName) -> ArtifactDamaged:
    """The error for an artifact whose content is not what was stored."""
    return ArtifactDamaged(
        f"The stored artifact {name} no longer has its hash; submit the job again to make a new one."
    )


def missing(name: ArtifactName) -> ArtifactMissing:
    """The error for an artifact that is not there."""
    return ArtifactMissing(
        f"The stored artifact {name} is gone from the store; submit the job again to make a new one."
    )
