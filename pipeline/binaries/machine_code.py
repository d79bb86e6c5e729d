"""What a native library of TFLite registers, read from its machine code.

Names among a library's strings prove little: an op can be described without a kernel, and the linker merges the end
of a long name with a short one. But every registration is a call with the name, or the number, of the op as an argument
just before it. So all calls are grouped by what they call, and the function that registers is known by its arguments:
for kernels, the names of ops that another function describes; for built-in ops, a number with a least and greatest
version.

This holds for 64-bit ARM and Intel libraries as clang compiles them. What does not look like it is not drafted at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.binaries.elf import Segment, read_elf

ARM = "arm64-v8a"

OP_NAME = re.compile(rb"_?[A-Z][A-Za-z0-9_>]{0,99}")
RELEASE = re.compile(rb"\x00(2\.\d{1,2}\.\d{1,2})\x00")
# A library that registers fewer can't be told from chance.
FEWEST_KERNELS = 3
FEWEST_BUILTINS = 20
MOST_BUILTINS, HIGHEST_VERSION = 512, 40
LARGEST_CONSTANT = 4096
# Instructions, or bytes, between a name and the call that takes it.
ARM_REACH, INTEL_REACH = 16, 48
REACH = 64
# The share of names that must be of described ops.
LEAST_KNOWN = 0.9

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Registered:
    """kernels: TensorFlow ops with a kernel for the CPU. builtins: least and greatest version by number of the schema.
    Empty when the code does not show them. version: of TensorFlow, as the library states it, or None."""

    kernels: frozenset[str]
    builtins: Mapping[int, tuple[int, int]]
    version: str | None


@dataclass(frozen=True)
class _Code:
    """All calls, and all places where an address is put into a register. Both by address of the instruction."""

    calls: Positions
    targets: Positions
    loads: Positions
    loaded: Positions


def read(data: bytes) -> Registered:
    """Read a shared library; ValueError when it is no ELF file of a known 64-bit machine."""
    found = read_elf(data)
    if found.abi is None:
        raise ValueError("its machine's code is not known here")
    segments = found.segments
    kernels: set[str] = set()
    builtins: dict[int, tuple[int, int]] = {}
    for segment in segments:
        if not segment.executable or len(segment.data) < ARM_REACH * 4:
            continue
        reader = _Arm(segment) if found.abi == ARM else _Intel(segment)
        kernels |= _kernels(reader.code(), segments)
        builtins |= _builtins(reader)
    release = RELEASE.search(data)
    return Registered(frozenset(kernels), builtins, release[1].decode() if release else None)


def _kernels(code: _Code, segments: Sequence[Segment]) -> set[str]:
    """The names with which kernels are registered: those of the function that is called with the most names of ops
    that are described in this library too."""
    strings = _strings(code.loaded, segments)
    loads = [
        (place, strings[at])
        for place, at in zip(code.loads.tolist(), code.loaded.tolist(), strict=True)
        if at in strings
    ]
    following = np.searchsorted(code.calls, [place for place, _ in loads])
    described: dict[int, set[str]] = defaultdict(set)
    named: dict[int, set[str]] = defaultdict(set)
    for index, (place, text) in enumerate(loads[:-1]):
        call = int(following[index])
        if call == len(code.calls) or int(code.calls[call]) - place > REACH or not OP_NAME.fullmatch(text):
            continue
        # A description goes on with its first argument, as in `filename: string`.
        by_target = described if b": " in loads[index + 1][1] else named
        by_target[int(code.targets[call])].add(text.decode())
    ops = max(described.values(), key=len, default=set())
    describing = next((target for target, names in described.items() if names is ops), None)
    found = max(
        (names for target, names in named.items() if target != describing),
        key=lambda names: len(names & ops),
        default=set(),
    )
    known = ops | named.get(describing or 0, set())
    return (
        found & known
        if len(found & known) >= FEWEST_KERNELS and len(found & known) > len(found) * LEAST_KNOWN
        else set()
    )


def _strings(addresses: Positions, segments: Sequence[Segment]) -> dict[int, bytes]:
    """The short texts, ended by a zero, at those addresses that have one."""
    found = {}
    for address in np.unique(addresses).tolist():
        for segment in segments:
            place = address - segment.start
            if not segment.executable and 0 <= place < len(segment.data):
                break
        else:
            # Old linkers put code and constants into one segment.
            segment = next((one for one in segments if 0 <= address - one.start < len(one.data)), segments[0])
            place = address - segment.start
        text = bytes(segment.data[place : place + 101]) if 0 <= place < len(segment.data) else b""
        end = text.find(b"\0")
        if end > 0 and text[:end].isascii():
            found[address] = text[:end]
    return found


def _builtins(reader: _Arm | _Intel) -> dict[int, tuple[int, int]]:
    """The numbers and versions that TFLite's resolver is filled with."""
    code = reader.code()
    number, least, greatest = reader.arguments()
    ranged: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    single: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for target, op, low, high in zip(
        code.targets.tolist(), number.tolist(), least.tolist(), greatest.tolist(), strict=True
    ):
        if 0 <= op < MOST_BUILTINS and 1 <= low <= HIGHEST_VERSION:
            if low <= high <= HIGHEST_VERSION:
                ranged[target][op] = max((low, high), ranged[target].get(op, (low, high)))
            elif high < 0:
                single[target][op] = (low, low)
    found = max(ranged.values(), key=len, default={})
    if len(found) < FEWEST_BUILTINS:
        return {}
    # Ops of one version are registered by a function with one argument less.
    return max(single.values(), key=len, default={}) | found


class _Arm:
    """64-bit ARM: an address is put together by ADRP and ADD, a call is BL, a constant argument MOVZ."""

    def __init__(self, segment: Segment) -> None:
        self._start = segment.start
        self._words = np.frombuffer(segment.data, "<u4", len(segment.data) // 4)
        self._calls = np.nonzero((self._words & 0xFC000000) == 0x94000000)[0].astype(np.int64)

    def code(self) -> _Code:
        words, calls = self._words, self._calls
        distance = (words[calls] & 0x3FFFFFF).astype(np.int64)
        distance = np.where(distance >= 1 << 25, distance - (1 << 26), distance)
        pages = np.nonzero((words & 0x9F000000) == 0x90000000)[0].astype(np.int64)
        word = words[pages].astype(np.int64)
        step = ((word >> 29) & 3) | (((word >> 5) & 0x7FFFF) << 2)
        step = np.where(step >= 1 << 20, step - (1 << 21), step)
        page = ((self._start + pages * 4) & ~0xFFF) + (step << 12)
        register = word & 31
        places, addresses = [], []
        for ahead in range(1, ARM_REACH):
            at = np.minimum(pages + ahead, len(words) - 1)
            adding = words[at].astype(np.int64)
            hit = ((adding & 0xFFC00000) == 0x91000000) & (((adding >> 5) & 31) == register)
            places.append(at[hit])
            addresses.append(page[hit] + ((adding[hit] >> 10) & 0xFFF))
        # An ADD belongs to the nearest ADRP before it, which stands first here.
        place, first = np.unique(np.concatenate(places), return_index=True)
        return _Code(
            self._start + calls * 4,
            self._start + (calls + distance) * 4,
            self._start + place * 4,
            np.concatenate(addresses)[first],
        )

    def arguments(self) -> tuple[Positions, Positions, Positions]:
        """The constants in the second, fourth and fifth argument of every call, set after the call before; else -1."""
        calls = self._calls
        before = np.concatenate([[-1], calls[:-1]])
        found = []
        for register in (1, 3, 4):
            value = np.full(len(calls), -1, np.int64)
            for back in range(ARM_REACH, 0, -1):
                at = np.maximum(calls - back, 0)
                word = self._words[at].astype(np.int64)
                later = calls - back > before
                value = np.where(((word & 0xFFE0001F) == 0x52800000 | register) & later, (word >> 5) & 0xFFFF, value)
                value = np.where(
                    (word == 0x2A1F03E0 | register) & later, 0, value
                )  # zero is a copy of the zero register
            found.append(value)
        return found[0], found[1], found[2]


class _Intel:
    """64-bit Intel: LEA relative to the instruction, CALL relative, MOV of a constant. Instructions have no fixed
    length, so that some of what is found is none; it never agrees often enough to matter."""

    def __init__(self, segment: Segment) -> None:
        self._start = segment.start
        self._bytes = np.frombuffer(segment.data, np.uint8)
        places = np.nonzero(self._bytes[:-8] == 0xE8)[0].astype(np.int64)
        targets = places + 5 + self._offset(places + 1)
        inside = (targets >= 0) & (targets < len(self._bytes)) & (targets % 16 == 0)
        self._calls, self._targets = places[inside], targets[inside]

    def _offset(self, places: Positions) -> Positions:
        part = self._bytes[places[:, None] + np.arange(4)]
        return np.ascontiguousarray(part).view("<i4")[:, 0].astype(np.int64)

    def code(self) -> _Code:
        data = self._bytes
        loading = ((data[:-8] & 0xFB) == 0x48) & (data[1:-7] == 0x8D) & ((data[2:-6] & 0xC7) == 0x05)
        loads = np.nonzero(loading)[0].astype(np.int64)
        return _Code(
            self._start + self._calls,
            self._start + self._targets,
            self._start + loads,
            self._start + loads + 7 + self._offset(loads + 3),
        )

    def arguments(self) -> tuple[Positions, Positions, Positions]:
        """As for ARM."""
        return self._constant(b"\xbe", zero=b"\x31\xf6"), self._constant(b"\xb9"), self._constant(b"\x41\xb8")

    def _constant(self, opcode: bytes, zero: bytes | None = None) -> Positions:
        """The constant of the nearest such instruction before each call and after the one before; -1 without one.

        zero: the other instruction that compilers put a zero in with.
        """
        calls = self._calls
        places = self._places(opcode)
        values = self._offset(places + len(opcode))
        small = (values >= 0) & (values < LARGEST_CONSTANT)
        places, values = places[small], values[small]
        if zero is not None:
            zeros = self._places(zero)
            places, values = np.concatenate([places, zeros]), np.concatenate([values, np.zeros_like(zeros)])
            order = np.argsort(places, kind="stable")
            places, values = places[order], values[order]
        if not len(places):
            return np.full(len(calls), -1, np.int64)
        last = np.searchsorted(places, calls) - 1
        nearest = places[np.maximum(last, 0)]
        before = np.concatenate([[-1], calls[:-1]])
        near = (last >= 0) & (calls - nearest <= INTEL_REACH) & (nearest > before)
        return np.where(near, values[np.maximum(last, 0)], -1)

    def _places(self, opcode: bytes) -> Positions:
        found = np.ones(max(len(self._bytes) - 8, 0), bool)
        for place, byte in enumerate(opcode):
            found &= self._bytes[place : place + len(found)] == byte
        return np.nonzero(found)[0].astype(np.int64)
