"""What a `model.litertlm` of the farm holds beyond what LiteRT-LM reads: the model's description, for `farm run`.

The section of the model ends with the whole bytes of `model.tflite`, see `signatures.derive`; a section of the kind
that LiteRT-LM leaves to others holds `model-info.json` and how many bytes they are. So the farm's own engine runs the
file that was verified, which its SHA-256 shows.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farm.errors import BadPromptTemplate, FileUnreadable
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm.container import Extent, Section, SectionKind, find_model, read_extents

FORMAT = "keras-android-farm/litert-lm"
LARGEST_DESCRIPTION = 1 << 20
LARGEST_PACKED_TOKENIZER = 64 << 20
LARGEST_TOKENIZER = 256 << 20
# Before the packed text, its length.
LENGTH_BYTES = 8


class Description(BaseModel):
    """The section's JSON. model_bytes: the size of `model.tflite`."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format: Literal["keras-android-farm/litert-lm"] = "keras-android-farm/litert-lm"
    version: Literal[1] = 1
    model_bytes: int = Field(gt=0)
    info: ModelInfo


def description_section(info: ModelInfo, model_bytes: int) -> Section:
    """The section with the model's description."""
    content = Description(model_bytes=model_bytes, info=info).model_dump_json().encode()
    return Section(SectionKind.GENERIC, lambda stream: stream.write(content), (("name", FORMAT),))


def read_description(path: Path) -> Description:
    """The model's description; FileUnreadable for a file of another program, a damaged one, and one that is cut."""
    find_model(path)
    for extent in read_extents(path):
        if extent.kind == SectionKind.GENERIC and extent.size <= LARGEST_DESCRIPTION:
            content = _read(path, extent)
            if FORMAT.encode() in content:
                return _parse(content, path)
    raise FileUnreadable(
        f"{path} says nothing of its model that the farm can read: another program made it, or an older farm; run it"
        " with LiteRT-LM, or give the job's model.tflite."
    )


def read_tokenizer(path: Path) -> bytes:
    """The `tokenizer.json` in a file; FileUnreadable without one, for a damaged and for a huge one."""
    extent = next((each for each in read_extents(path) if each.kind == SectionKind.HF_TOKENIZER), None)
    if extent is None:
        raise FileUnreadable(f"{path} holds no tokenizer.json; give a .litertlm that a farm job made.")
    if extent.size > LARGEST_PACKED_TOKENIZER:
        raise FileUnreadable(f"{path} holds a tokenizer of {extent.size} bytes, far too many; make it again.")
    packed = _read(path, extent)
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed[LENGTH_BYTES:], LARGEST_TOKENIZER)
    except zlib.error as error:
        raise FileUnreadable(f"{path} holds a damaged tokenizer; download it again.") from error
    if not unpacker.eof or int.from_bytes(packed[:LENGTH_BYTES], "little") != len(content):
        raise FileUnreadable(
            f"{path} holds a tokenizer that is cut off or larger than {LARGEST_TOKENIZER >> 20} MiB; download the file"
            " again."
        )
    return content


def unpack_model(path: Path, model_bytes: int, output: Path) -> None:
    """Write the `model.tflite` that a file holds; FileUnreadable when it holds no such many bytes."""
    extent = find_model(path)
    if model_bytes > extent.size:
        raise FileUnreadable(
            f"{path} says that its model has {model_bytes} bytes, and holds {extent.size}; download it again."
        )
    with path.open("rb") as stream, output.open("wb") as target:
        stream.seek(extent.end - model_bytes)
        left = model_bytes
        while left and (part := stream.read(min(left, 1 << 22))):
            target.write(part)
            left -= len(part)


def _read(path: Path, extent: Extent) -> bytes:
    with path.open("rb") as stream:
        stream.seek(extent.begin)
        return stream.read(extent.size)


def _parse(content: bytes, path: Path) -> Description:
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
        raise FileUnreadable(
            f"{path} holds no model description of this farm ({field} is wrong); make it again with this version."
        ) from error
    except BadPromptTemplate as error:
        raise FileUnreadable(f"{path} holds no model description of this farm: {error}") from error
