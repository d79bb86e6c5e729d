"""The container format `.litertlm`: a header that is a flatbuffer, and sections that begin at whole blocks.

Written directly: the package that builds such files was generated for another protobuf than TensorFlow's. The header is
`LITERTLM`, the format's version as three 32-bit numbers, at 24 the header's end as 64 bits, at 32 the flatbuffer.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import flatbuffers
import flatbuffers.encode
from flatbuffers import number_types
from flatbuffers.table import Table

from farm.errors import FileUnreadable

MAGIC = b"LITERTLM"
SUFFIX = ".litertlm"
VERSION = (1, 7, 0)
BLOCK = 16 << 10
HEADER_END_AT, HEADER_AT = 24, 32
# LiteRT-LM's largest models have some ten sections.
MOST_SECTIONS = 1000
# The union's type of a text in a section's properties.
_TEXT = 9
MODEL_TYPE = "model_type"
PREFILL_DECODE = "tf_lite_prefill_decode"


class SectionKind(IntEnum):
    """What a section holds; the numbers are the format's."""

    GENERIC = 1
    TFLITE_MODEL = 3
    SENTENCEPIECE = 4
    LLM_METADATA = 5
    HF_TOKENIZER = 6


@dataclass(frozen=True)
class Section:
    """A section to be written. properties: names and texts."""

    kind: SectionKind
    write: Callable[[BinaryIO], object]
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Extent:
    """Where a section lies in a file."""

    kind: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.end - self.begin


def model_section(path: Path) -> Section:
    """A `.tflite` with the signatures that LiteRT-LM calls."""

    def write(stream: BinaryIO) -> None:
        with path.open("rb") as source:
            shutil.copyfileobj(source, stream, 1 << 20)

    return Section(SectionKind.TFLITE_MODEL, write, ((MODEL_TYPE, PREFILL_DECODE),))


def tokenizer_section(content: bytes) -> Section:
    """A tokenizer.json, compressed behind its length."""
    packed = len(content).to_bytes(8, "little") + zlib.compress(content)
    return Section(SectionKind.HF_TOKENIZER, lambda stream: stream.write(packed))


def metadata_section(content: bytes) -> Section:
    """The limits and stop tokens, see `metadata`."""
    return Section(SectionKind.LLM_METADATA, lambda stream: stream.write(content))


def write(path: Path, sections: Sequence[Section], properties: Sequence[tuple[str, str]]) -> None:
    """Write a file, under a temporary name first. properties: of the whole file."""
    # The offsets' values do not change the header's length.
    size = len(_header([Extent(section.kind, 1, 1) for section in sections], sections, properties))
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as stream:
            extents, end = [], HEADER_AT + size
            for section in sections:
                begin = -(-end // BLOCK) * BLOCK
                stream.seek(begin)
                section.write(stream)
                end = stream.tell()
                extents.append(Extent(section.kind, begin, end))
            stream.seek(0)
            stream.write(MAGIC + struct.pack("<3I", *VERSION))
            stream.seek(HEADER_END_AT)
            stream.write((HEADER_AT + size).to_bytes(8, "little"))
            stream.write(_header(extents, sections, properties))
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _header(extents: Sequence[Extent], sections: Sequence[Section], properties: Sequence[tuple[str, str]]) -> bytes:
    builder = flatbuffers.Builder(BLOCK)
    entries = _properties(builder, properties)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, entries, 0)
    system = builder.EndObject()
    objects = []
    for extent, section in zip(extents, sections, strict=True):
        items = _properties(builder, section.properties)
        builder.StartObject(4)
        builder.PrependUOffsetTRelativeSlot(0, items, 0)
        builder.PrependUint64Slot(1, extent.begin, 0)
        builder.PrependUint64Slot(2, extent.end, 0)
        builder.PrependUint8Slot(3, int(extent.kind), 0)
        objects.append(builder.EndObject())
    listed = _vector(builder, objects)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, listed, 0)
    described = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, system, 0)
    builder.PrependUOffsetTRelativeSlot(1, described, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _properties(builder: flatbuffers.Builder, properties: Sequence[tuple[str, str]]) -> int:
    pairs = []
    for name, text in properties:
        key, value = builder.CreateString(name), builder.CreateString(text)
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, value, 0)
        wrapped = builder.EndObject()
        builder.StartObject(3)
        builder.PrependUOffsetTRelativeSlot(0, key, 0)
        builder.PrependUint8Slot(1, _TEXT, 0)
        builder.PrependUOffsetTRelativeSlot(2, wrapped, 0)
        pairs.append(builder.EndObject())
    return _vector(builder, pairs)


def _vector(builder: flatbuffers.Builder, items: Sequence[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())


def is_container(path: Path) -> bool:
    """Whether a file is meant to be of this format, by its name or its first bytes."""
    with path.open("rb") as stream:
        return path.suffix == SUFFIX or stream.read(len(MAGIC)) == MAGIC


def find_model(path: Path) -> Extent:
    """The section of the model; FileUnreadable without one, and without a tokenizer, which LiteRT-LM needs."""
    found = {extent.kind: extent for extent in read_extents(path)}
    if not found.keys() & {SectionKind.HF_TOKENIZER, SectionKind.SENTENCEPIECE}:
        raise FileUnreadable(f"{path} holds no tokenizer, without which LiteRT-LM can't run it; make it again.")
    if SectionKind.TFLITE_MODEL not in found:
        raise FileUnreadable(f"{path} holds no .tflite model; give a .litertlm that a farm job made.")
    return found[SectionKind.TFLITE_MODEL]


def read_extents(path: Path) -> tuple[Extent, ...]:
    """Where a file's sections lie; FileUnreadable when it is none, or cut off."""
    with path.open("rb") as stream:
        head = stream.read(HEADER_AT)
        if head[: len(MAGIC)] != MAGIC or len(head) < HEADER_AT:
            raise FileUnreadable(f"{path} is no .litertlm file; give one that a farm job made.")
        end = int.from_bytes(head[HEADER_END_AT:], "little")
        content = stream.read(max(0, min(end, 1 << 24) - HEADER_AT))
        size = stream.seek(0, 2)
    try:
        extents = tuple(_read_sections(content))
    except (struct.error, IndexError, ValueError, TypeError, OverflowError) as error:
        raise FileUnreadable(f"{path} is a damaged .litertlm file; download it again.") from error
    if not extents or any(not HEADER_AT <= extent.begin <= extent.end <= size for extent in extents):
        raise FileUnreadable(f"{path} is cut off: {size} bytes are not all that it had; download it again.")
    return extents


def _read_sections(content: bytes) -> list[Extent]:
    flags = number_types
    root = Table(content, flatbuffers.encode.Get(flags.UOffsetTFlags.packer_type, content, 0))
    described = Table(content, root.Indirect(root.Pos + root.Offset(6)))
    listed = described.Offset(4)
    found = []
    count = described.VectorLen(listed) if listed else 0
    if count > MOST_SECTIONS:
        raise ValueError(f"{count} sections")
    for number in range(count):
        section = Table(content, described.Indirect(described.Vector(listed) + 4 * number))
        begin, end = (section.GetSlot(slot, 0, flags.Uint64Flags) for slot in (6, 8))
        found.append(Extent(section.GetSlot(10, 0, flags.Uint8Flags), begin, end))
    return found
