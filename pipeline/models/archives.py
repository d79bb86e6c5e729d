"""`.keras` files as zip archives: their members, before anything is unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from farm.errors import ModelDamaged, ModelUnsafe

MEMBERS = 10_000
# What the list of so many members may take; the whole list is read and parsed before the first member can be judged.
LIST_BYTES = 4 << 20
RATIO = 100
# A small member may shrink by any ratio.
RATIO_FLOOR = 4 << 20
NAME_LENGTH = 240
CHUNK_BYTES = 1 << 20
ENCRYPTED = 0x1
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
MEMBER = re.compile(
    r"config\.json|metadata\.json|model\.weights\.h5|model\.weights\.json|model_\d{5}\.weights\.h5"
    r"|assets(/[A-Za-z0-9_]+)*/(vocabulary\.(json|txt|spm)|merges\.txt)"
)


class KerasArchive:
    """An opened `.keras` file whose list of members was checked. `members`: name -> size, folders left out."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._name = name
        self.members = _checked_members(archive, name)

    def read(self, member: str, limit: int) -> bytes:
        """A small member's content."""
        if self.members[member] > limit:
            raise ModelUnsafe(
                f"{self._name} holds {member} of {self.members[member]} bytes, more than the {limit} that a model may"
                " need; it is refused."
            )
        with _damage_as_sentence(self._name), self._archive.open(member) as stream:
            return stream.read(limit + 1)

    def extract(self, member: str, target: Path) -> None:
        """Write a member to `target`, its checksum verified."""
        with (
            _damage_as_sentence(self._name),
            self._archive.open(member) as stream,
            target.open("wb") as copy,
        ):
            while chunk := stream.read(CHUNK_BYTES):
                copy.write(chunk)


@contextmanager
def open_archive(path: Path, name: str) -> Iterator[KerasArchive]:
    """Open a `.keras` file; ModelDamaged when it is no whole zip, ModelUnsafe for members that no model has."""
    with path.open("rb") as stream, opened_archive(stream, name) as archive:
        yield archive


@contextmanager
def opened_archive(stream: BinaryIO, name: str) -> Iterator[KerasArchive]:
    """The same of a file that is open already."""
    bounded = _BoundedStream(stream, name)
    with _damage_as_sentence(name):
        archive = zipfile.ZipFile(bounded)
    bounded.most = None
    with archive:
        yield KerasArchive(archive, name)


class _BoundedStream:
    """A file that refuses to be read in large pieces. most: their bytes; None for any number."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.most: int | None = LIST_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read; ModelUnsafe for more than allowed at once."""
        if self.most is not None and size > self.most:
            raise _refusal(self._name, f"lists its members in {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """Always."""
        return True


def _checked_members(archive: zipfile.ZipFile, name: str) -> dict[str, int]:
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise _refusal(name, f"holds {len(members)} members")
    found: dict[str, int] = {}
    for member in members:
        _check_member(member, name)
        if member.is_dir():
            continue
        if member.filename.casefold() in found:
            raise _refusal(name, f"holds {member.filename!r} twice")
        found[member.filename.casefold()] = member.file_size
    if "config.json" not in found:
        raise ModelDamaged(f"{name} is a zip without config.json, so no Keras model; save the model again.")
    return {member.filename: member.file_size for member in members if not member.is_dir()}


def _check_member(member: zipfile.ZipInfo, name: str) -> None:
    shown = repr(member.orig_filename[:80])
    # zipfile cuts names at a zero byte, so that the original name tells more.
    if member.orig_filename != member.filename or len(member.filename) > NAME_LENGTH:
        raise _refusal(name, f"holds the member {shown}, no plain name")
    folder = member.is_dir() and re.fullmatch(r"assets/([A-Za-z0-9_]+/)*", member.filename) is not None
    if not folder and not MEMBER.fullmatch(member.filename):
        raise _refusal(name, f"holds the member {shown}, which no model of a known kind has")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG):
        raise _refusal(name, f"holds {shown} as something else than an ordinary file")
    if member.flag_bits & ENCRYPTED or member.compress_type not in METHODS:
        raise _refusal(name, f"holds {shown} encrypted or compressed in an unusual way")
    if member.file_size > max(RATIO_FLOOR, RATIO * member.compress_size):
        raise _refusal(name, f"holds {shown}, {member.compress_size} bytes that unpack to {member.file_size}")


def _refusal(name: str, finding: str) -> ModelUnsafe:
    return ModelUnsafe(f"{name} {finding}; the model is refused, get it from a source you trust.")


@contextmanager
def _damage_as_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise ModelDamaged(
            f"{name} is no whole .keras file: it is cut, damaged, or no zip archive; save or copy it again."
        ) from error
