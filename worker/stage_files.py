"""The one way in which the supervisor reads what a stage's process has left: its result, its outputs, its caches.

A file is opened without following a link, must be a regular one with no second name, and has a limit on its size. No
stage's process lives any more when this is done, so that what was looked at stays as it is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farm.errors import ArtifactDamaged
from farm.plain_text import clean

RESULT_BYTES = 4 << 20
MAX_FILES = 5000
MAX_DEPTH = 12
MAX_NAME_BYTES = 255
# Of all outputs of a stage together, as their sizes say, however little of a sparse file is on the disk.
MAX_BYTES = 128 << 30

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class StrangeFile(Exception):
    """A file is not what it should be; the text ends a sentence that begins with its name."""


@contextmanager
def opened(path: Path | str, *, folder: int | None = None) -> Iterator[int]:
    """A descriptor of a regular file with one name; StrangeFile, FileNotFoundError."""
    try:
        descriptor = _open(path, _FLAGS, folder)
    except FileNotFoundError:
        raise
    except OSError:
        raise StrangeFile("can't be opened as an ordinary file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StrangeFile("is no ordinary file")
        if status.st_nlink != 1:
            raise StrangeFile("has a second name")
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path | str, flags: int, folder: int | None = None) -> int:
    """Open it, also where the stage has taken its own user's permission to."""
    try:
        return os.open(path, flags, dir_fd=folder)
    except PermissionError:
        kind = os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise
        os.chmod(path, 0o700, dir_fd=folder)
        return os.open(path, flags, dir_fd=folder)


def read(path: Path, limit: int) -> bytes | None:
    """The file's content; None when there is none. StrangeFile when it is longer than `limit` bytes."""
    try:
        with opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise StrangeFile(f"is longer than {limit >> 20} MiB")
    return data


@dataclass
class _Count:
    files: int = 0
    bytes: int = 0


def require_sound(outputs: Path, user: tuple[int, int] | None = None) -> None:
    """Walk all that lies below a stage's outputs; ArtifactDamaged for what is no ordinary file, no text of a name, too
    many, too deep or too large. user: whose the files become, so that no later stage can change them."""
    count = _Count()
    try:
        root = _open(outputs, _FLAGS | os.O_DIRECTORY)
    except OSError:
        raise ArtifactDamaged("The stage put something else in place of its outputs' folder; see its log.") from None
    try:
        _walk(root, "", 0, count, user)
    finally:
        os.close(root)


def _walk(folder: int, place: str, depth: int, count: _Count, user: tuple[int, int] | None) -> None:
    if depth > MAX_DEPTH:
        raise ArtifactDamaged(
            f"The stage's outputs are more than {MAX_DEPTH} folders deep, which none is; see its log."
        )
    if user is not None:
        os.fchown(folder, *user)
    os.fchmod(folder, 0o755)
    with os.scandir(folder) as entries:
        for entry in entries:
            count.files += 1
            if count.files > MAX_FILES:
                raise ArtifactDamaged(f"The stage made more than {MAX_FILES} files, which none does; see its log.")
            name = _require_name(entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    below = _open(entry.name, _FLAGS | os.O_DIRECTORY, folder)
                    try:
                        _walk(below, f"{place}{name}/", depth + 1, count, user)
                    finally:
                        os.close(below)
                    continue
                with opened(entry.name, folder=folder) as descriptor:
                    count.bytes += os.fstat(descriptor).st_size
                    if user is not None:
                        os.fchown(descriptor, *user)
            except (StrangeFile, OSError) as error:
                said = str(error) if isinstance(error, StrangeFile) else "can't be opened"
                raise ArtifactDamaged(
                    f"The output {place}{name} {said}; a stage may only make ordinary files."
                ) from error
            if count.bytes > MAX_BYTES:
                raise ArtifactDamaged(
                    f"The stage's outputs are larger than {MAX_BYTES >> 30} GiB together; see its log."
                )


def _require_name(name: str) -> str:
    if clean(name, MAX_NAME_BYTES) != name or "\\" in name or name != name.strip():
        raise ArtifactDamaged(f"The stage made a file with the name {clean(name, 80)!r}, which no file of a model has.")
    return name
