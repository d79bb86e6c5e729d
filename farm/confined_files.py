"""Opens a folder's files so that no swapped link leads elsewhere: each name is walked from an open folder.

Whoever may write a model's folder can put a link in a file's place at any time, also between a look at its name and the
next use of it. So what is read is read from a descriptor that was opened part by part from the folder's own, following
no link that leads out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath

MOST_LINKS = 40
HUB_BLOBS = "blobs"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe must not keep whoever opens it waiting.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotConfined(Exception):
    """A name leads out of the folder, to nothing or to no ordinary file. Never shown to a user: `why` is translated.

    why: `outside`, `missing`, `special`, or what the system says of a file that can't be opened.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class ConfinedFolder:
    """An open folder. Its files are opened below it, wherever its own name leads meanwhile."""

    def __init__(self, path: Path) -> None:
        self._named = path
        self._path = path.resolve()
        self._descriptor = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give its descriptor back; files that were opened stay open."""
        os.close(self._descriptor)

    def open(self, name: str) -> BufferedReader:
        """The ordinary file of that name below the folder; NotConfined."""
        folders = [os.dup(self._descriptor)]
        try:
            return os.fdopen(self._walk(folders, name), "rb")
        except OSError as error:
            why = {"FileNotFoundError": "missing"}.get(type(error).__name__, error.strerror or "it cannot be opened")
            raise NotConfined(why) from error
        finally:
            for each in folders:
                os.close(each)

    def open_path(self, path: Path) -> BufferedReader:
        """The ordinary file at a path that begins with the folder's own name; NotConfined."""
        return self.open(str(path.relative_to(self._named)))

    def _walk(self, folders: list[int], name: str) -> int:
        """Open part after part. folders: the descriptors on the way; what comes above the first is outside."""
        ahead = list(reversed(PurePosixPath(name).parts))
        links = 0
        while ahead:
            part = ahead.pop()
            if part == "..":
                if len(folders) == 1:
                    raise NotConfined("outside")
                os.close(folders.pop())
                continue
            target = _link(part, folders[-1])
            if target is not None:
                links += 1
                if links > MOST_LINKS:
                    raise NotConfined("missing")
                ahead += reversed(self._within(target, folders))
            elif ahead:
                folders.append(os.open(part, _FOLDER, dir_fd=folders[-1]))
            else:
                return _ordinary(os.open(part, _FILE, dir_fd=folders[-1]))
        raise NotConfined("special")

    def _within(self, target: str, folders: list[int]) -> tuple[str, ...]:
        """The parts of a link's text; one that names a place below the folder from the root begins at the folder."""
        path = PurePosixPath(target)
        if not path.is_absolute():
            return path.parts
        if not path.is_relative_to(self._path):
            raise NotConfined("outside")
        while len(folders) > 1:
            os.close(folders.pop())
        return path.relative_to(self._path).parts


def hub_cache(folder: Path) -> Path:
    """The model's own folder in a hub's cache, to whose `blobs` a snapshot's files are links; else the folder."""
    model = folder.parent.parent
    blobs = model / HUB_BLOBS
    in_cache = folder.parent.name == "snapshots" and blobs.is_dir() and not blobs.is_symlink()
    return model if in_cache else folder


@contextmanager
def confined(path: Path) -> Iterator[ConfinedFolder]:
    """The folder, open for a while."""
    folder = ConfinedFolder(path)
    try:
        yield folder
    finally:
        folder.close()


@contextmanager
def confined_model(start: Path) -> Iterator[ConfinedFolder | None]:
    """What the files below a model's or an adapter's folder may lead to, open for a while; None when it is not there.

    That is the folder, or the model's in a hub's cache. Enter it before the look at the names, so that what is looked
    for in this folder is read from it.
    """
    root = hub_cache(start)
    if not root.is_dir():
        yield None
        return
    with confined(root) as folder:
        yield folder


def _link(part: str, folder: int) -> str | None:
    """What a link says; None for what is none. One that is put there after this look the opening refuses."""
    try:
        return os.readlink(part, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        return None


def _ordinary(descriptor: int) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotConfined("special")
    os.set_blocking(descriptor, True)
    return descriptor
