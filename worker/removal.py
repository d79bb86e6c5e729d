"""Removes folders whatever is in them: any depth, any number, any permissions. What can't be removed is moved aside."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

ASIDE = "set-aside"
_log = logging.getLogger("farm.worker")


def remove(path: Path, aside: Path | None = None) -> None:
    """Remove a file or folder; never raises. aside: the folder into which goes what can't be removed.

    A tree is not descended into, as one 1,500 deep would be forever: each folder's files are removed and its folders
    moved up beside it, until no folder is left.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        _empty(path)
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        _set_aside(path, aside or path.parent / ASIDE, error)


def _empty(top: Path) -> None:
    """Remove all below a folder."""
    _allow(top)
    waiting = [entry.name for entry in _entries(top)]
    for name in waiting:
        child = top / name
        if not stat.S_ISDIR(child.lstat().st_mode):
            child.unlink()
    waiting = [entry.name for entry in _entries(top)]
    while waiting:
        child = top / waiting.pop()
        _allow(child)
        for entry in _entries(child):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 # no path is made of 60,000 names
                continue
            moved = secrets.token_hex(8)
            # A folder is moved only by who may write in it, since its way up is part of it.
            _allow(Path(entry.path))
            Path(entry.path).rename(top / moved)
            waiting.append(moved)
        child.rmdir()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _allow(folder: Path) -> None:
    # By descriptor, so that a link in its place is not followed.
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
        return
    # Not even to be read; and nobody who could put a link there lives any more.
    folder.chmod(0o700, follow_symlinks=True)


def _set_aside(path: Path, aside: Path, error: OSError) -> None:
    _log.warning("%s can't be removed (%s); it is moved to %s", path, error.strerror, aside)
    try:
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / f"{path.name}.{secrets.token_hex(4)}")
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
