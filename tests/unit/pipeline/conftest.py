"""Native libraries and code of nothing but headers, for the readers and the checks."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest


@pytest.fixture
def elf() -> Callable[[int, list[tuple[int, int]]], bytes]:
    """Makes 64-bit ELF files for a machine, of segments given as type and alignment."""
    return _elf


@pytest.fixture
def dex() -> Callable[[list[str], list[int]], bytes]:
    """Makes dex files of type descriptors, and which of them are defined."""
    return _dex


def _elf(machine: int, segments: list[tuple[int, int]]) -> bytes:
    table = b"".join(struct.pack("<2I6Q", kind, 5, 0, 0, 0, 0, 0, alignment) for kind, alignment in segments)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    return struct.pack("<16s2HI3QI6H", identity, 3, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0) + table


def _dex(descriptors: list[str], defined: list[int]) -> bytes:
    header_size, strings = 0x70, [name.encode() for name in descriptors]
    type_ids = header_size + 4 * len(strings)
    classes = type_ids + 4 * len(strings)
    data = classes + 32 * len(defined)
    offsets, body = [], b""
    for text in strings:
        offsets.append(data + len(body))
        length = len(text)
        prefix = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
        body += prefix + text + b"\0"
    header = bytearray(header_size)
    header[:8] = b"dex\n039\0"
    for field, value in ((0x3C, header_size), (0x44, type_ids), (0x60, len(defined)), (0x64, classes)):
        struct.pack_into("<I", header, field, value)
    tables = struct.pack(f"<{len(offsets)}I", *offsets) + struct.pack(f"<{len(strings)}I", *range(len(strings)))
    definitions = b"".join(struct.pack("<8I", index, *[0] * 7) for index in defined)
    return bytes(header) + tables + definitions + body
