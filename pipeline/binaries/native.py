"""What the checks read from native libraries (ELF) and from code (dex), by the formats' published layouts."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pipeline.binaries.elf import read_elf

DEX_HEADER_BYTES = 0x70


@dataclass(frozen=True)
class SharedLibrary:
    """abi: Android's name for the machine, None when it has none. load_alignment: bytes, the smallest of all segments
    that are mapped; a phone with larger pages can't load the library."""

    abi: str | None
    load_alignment: int


def read_library(data: bytes) -> SharedLibrary:
    """Read a 64-bit little-endian ELF file's headers; ValueError when it is another kind of file."""
    found = read_elf(data)
    if not found.segments:
        raise ValueError("it has no segment to load")
    return SharedLibrary(found.abi, min(segment.alignment for segment in found.segments))


def defined_classes(dex: bytes) -> frozenset[str]:
    """The names, with dots, of all classes that a dex file defines; ValueError when it is none."""
    if dex[:4] != b"dex\n":
        raise ValueError("it is no dex file")
    try:
        string_ids, type_ids, classes_size, classes = (
            struct.unpack_from("<I", dex, field)[0] for field in (0x3C, 0x44, 0x60, 0x64)
        )
        names = []
        for index in range(classes_size):
            (type_index,) = struct.unpack_from("<I", dex, classes + 32 * index)
            (string_index,) = struct.unpack_from("<I", dex, type_ids + 4 * type_index)
            (start,) = struct.unpack_from("<I", dex, string_ids + 4 * string_index)
            names.append(_text_at(dex, start))
    except (struct.error, IndexError) as error:
        raise ValueError("its tables are cut off") from error
    return frozenset(name[1:-1].replace("/", ".") for name in names)


def count_methods(dex: bytes) -> int:
    """How many methods a dex file refers to, its own and others'; ValueError when it is none."""
    if dex[:4] != b"dex\n" or len(dex) < DEX_HEADER_BYTES:
        raise ValueError("it is no dex file")
    return int(struct.unpack_from("<I", dex, 0x58)[0])


def _text_at(dex: bytes, start: int) -> str:
    """A string of a dex file: its length as ULEB128, then the characters, then a zero."""
    while dex[start] & 0x80:
        start += 1
    return dex[start + 1 : dex.index(0, start + 1)].decode(errors="replace")
