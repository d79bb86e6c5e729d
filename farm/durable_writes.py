"""Makes files fit for the store: read-only, hashed, on disk; and says what a folder is by its listing."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged, DiskFull

READ_ONLY = 0o444
# File systems write several files that are synced at once in one go, which takes little longer than one.
SYNC_THREADS = 8
# So much is hashed before it is asked whether to go on.
CHECKED_BYTES = 4 << 20


@dataclass(frozen=True)
class Blob:
    """A file's SHA-256 and its size in bytes."""

    digest: str
    size: int


def go_on() -> None:
    """Nothing is in the way of further work; what may end it raises in this one's place."""


def write_durably(paths: Sequence[Path], check: Callable[[], None] = go_on) -> dict[Path, Blob]:
    """Seal several files at once; see seal."""
    if len(paths) == 1:
        return {paths[0]: seal(paths[0], check)}
    return dict(zip(paths, _sync_threads().map(partial(seal, check=check), paths), strict=True))


@cache
def _sync_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SYNC_THREADS, "sync")


# A process that forks has none of its parent's threads.
os.register_at_fork(after_in_child=_sync_threads.cache_clear)


def seal(path: Path, check: Callable[[], None] = go_on) -> Blob:
    """Make a file read-only, take its hash, and have it on disk.

    check: called between pieces of a large file; what it raises ends this.
    """
    _require(stat.S_ISREG, path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as stream:
        os.fchmod(stream.fileno(), READ_ONLY)
        hasher = hashlib.sha256()
        while piece := stream.read(CHECKED_BYTES):
            hasher.update(piece)
            check()
        os.fsync(stream.fileno())
        return Blob(hasher.hexdigest(), os.fstat(stream.fileno()).st_size)


def files_of(name: ArtifactName, path: Path) -> dict[str, Path]:
    """An artifact's files by their path below it; a file by the empty path."""
    if not name.is_folder:
        return {"": path}
    _require(stat.S_ISDIR, path)
    return {file.relative_to(path).as_posix(): file for file in _files_below(path)}


def listing_of(entries: Mapping[str, Blob]) -> bytes:
    """What a folder is stored as."""
    return digests.canonical_json({file: {"digest": blob.digest, "size": blob.size} for file, blob in entries.items()})


def fsync_folder(folder: Path) -> None:
    """Have the folder's names on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files_below(path)
        else:
            yield path


def _require(kind: Callable[[int], bool], path: Path) -> None:
    # A link could lead to a file of the machine that the stage itself was not allowed to read.
    if not kind(path.lstat().st_mode):
        raise ArtifactDamaged(
            f"The output {path.name} is a link or special file; a stage may only make ordinary files."
        )


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """A file or folder that does not stay when the block raises."""
    try:
        yield
    except BaseException:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        raise


@contextmanager
def disk_full_as_sentence() -> Iterator[None]:
    """Turn the system's error for a full disk into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full; free some room and run the job again.") from error
        raise
