"""What is needed of a native library's headers (ELF), by the format's published layout."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MACHINES = {62: "x86_64", 183: "arm64-v8a"}
PT_LOAD, EXECUTABLE = 1, 1
HEADER = struct.Struct("<16s2HI3QI6H")
SEGMENT = struct.Struct("<2I6Q")


@dataclass(frozen=True)
class Segment:
    """A part of the file that is mapped: at which address, what, to how many bytes aligned, and whether it is code."""

    start: int
    data: memoryview
    alignment: int
    executable: bool


@dataclass(frozen=True)
class ElfFile:
    """abi: Android's name for the machine, None when it has none. segments: those that are mapped."""

    abi: str | None
    segments: tuple[Segment, ...]


def read_elf(data: bytes) -> ElfFile:
    """Read a 64-bit little-endian ELF file's headers; ValueError when it is another kind of file."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("it is no 64-bit little-endian ELF file")
    try:
        header = HEADER.unpack_from(data)
        machine, table, size, count = header[2], header[5], header[9], header[10]
        rows = [SEGMENT.unpack_from(data, table + size * index) for index in range(count)]
    except struct.error as error:
        raise ValueError("its headers are cut off") from error
    whole = memoryview(data)
    segments = tuple(
        Segment(row[3], whole[row[2] : row[2] + row[5]], row[7], bool(row[1] & EXECUTABLE))
        for row in rows
        if row[0] == PT_LOAD
    )
    return ElfFile(MACHINES.get(machine), segments)
