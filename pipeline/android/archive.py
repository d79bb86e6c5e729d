"""Zip archives as Android wants them: entries stored, their data aligned, the same input always the same bytes."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farm.errors import PackageInvalid
from pipeline.binaries import zip_reading

# Android's tools date every entry so; a zip knows no time before 1980.
FIXED_TIME = (1981, 1, 1, 1, 1, 2)
CHUNK_BYTES = 1 << 20
# Below the 2 GiB that Android maps, with room for the signature and the table of contents.
MAX_BYTES = 2_000_000_000
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
# An extra field that says to what an entry is aligned, and pads it: see apksig's ApkSigner and zipflinger.
ALIGNMENT_FIELD = 0xD935
ALIGNMENT_HEADER = struct.Struct("<HHH")


@dataclass(frozen=True)
class Member:
    """An entry to write: its name, its content (a file or bytes), what its data's offset is a multiple of, whether it
    is compressed, and whether it is a program."""

    name: str
    source: Path | bytes
    alignment: int = 4
    compressed: bool = False
    executable: bool = False

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True)
class Entry:
    """An entry that was read: where its data begins in the archive, and whether it is stored as it is."""

    name: str
    stored: bool
    size: int
    offset: int

    def aligned(self, alignment: int) -> bool:
        """Whether the data can be mapped at multiples of `alignment`."""
        return self.stored and self.offset % alignment == 0


def write(target: Path, members: Iterable[Member]) -> None:
    """Write the members in the given order. Content is streamed, a chunk at a time.

    PackageInvalid when the whole would reach 2 GB, beyond which Android does not install it.
    """
    _write(target, "w", members)


def append(target: Path, members: Iterable[Member]) -> None:
    """Add the members to an archive, behind what it has. PackageInvalid as for `write`."""
    _write(target, "a", members)


def _write(target: Path, mode: Literal["w", "a"], members: Iterable[Member]) -> None:
    with zipfile.ZipFile(target, mode, zipfile.ZIP_STORED, allowZip64=False) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.name, FIXED_TIME)
            info.external_attr = (0o755 if member.executable else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED if member.compressed else zipfile.ZIP_STORED
            info.file_size = member.size
            offset = archive.start_dir
            if offset + info.file_size + member.alignment + LOCAL_HEADER.size > MAX_BYTES:
                raise PackageInvalid(
                    f"{member.name} makes the package larger than the 2 GB that Android installs;"
                    " choose a recipe with smaller weights or a smaller model."
                )
            if not member.compressed:
                info.extra = padding(offset + LOCAL_HEADER.size + len(member.name.encode()), member.alignment)
            with archive.open(info, "w") as stream:
                if isinstance(member.source, bytes):
                    stream.write(member.source)
                else:
                    with member.source.open("rb") as content:
                        while chunk := content.read(CHUNK_BYTES):
                            stream.write(chunk)


def padding(offset: int, alignment: int) -> bytes:
    """The extra field that moves data from `offset`, where it would begin without one, to the next multiple."""
    gap = -(offset + ALIGNMENT_HEADER.size) % alignment
    return ALIGNMENT_HEADER.pack(ALIGNMENT_FIELD, 2 + gap, alignment) + bytes(gap)


def write_tree(target: Path, folder: Path) -> None:
    """Archive all files below `folder`, sorted by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write(target, (Member(path.relative_to(folder).as_posix(), path) for path in files))


def read_entries(path: Path) -> tuple[Entry, ...]:
    """All entries in the order of the central directory. PackageInvalid when the file is no sound zip archive."""
    with opened(path) as archive, path.open("rb") as stream:
        return tuple(
            Entry(
                name=info.filename,
                stored=info.compress_type == zipfile.ZIP_STORED,
                size=info.file_size,
                offset=_data_offset(stream.seek(info.header_offset), stream.read(LOCAL_HEADER.size)),
            )
            for info in archive.infolist()
        )


def opened(path: Path) -> AbstractContextManager[zipfile.ZipFile]:
    """A package to read; PackageInvalid for what is damaged, now or when it is read."""
    sentence = f"{path.name} is no sound zip archive; give an app's package, or build it again."
    return zip_reading.opened(path, PackageInvalid, sentence)


def _data_offset(header_offset: int, header: bytes) -> int:
    """Where an entry's data begins: behind its local header, name and extra field."""
    fields = LOCAL_HEADER.unpack(header)
    if fields[0] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no local header at byte {header_offset}")
    return header_offset + LOCAL_HEADER.size + int(fields[9]) + int(fields[10])
