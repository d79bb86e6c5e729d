"""Weight files of Transformers checkpoints: the header's claims must fit the file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import ModelDamaged
from pipeline.models import jsonfile

LENGTH_BYTES = 8
METADATA = "__metadata__"
HEADER_BYTES = 64 << 20
TYPE_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor as the header states it. offset: of its first byte in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


def check(path: Path, name: str) -> None:
    """Check a file; `name` for the sentences. ModelDamaged, ModelUnsafe."""
    entries(path, name)


def entries(path: Path, name: str) -> list[Entry]:
    """The tensors of a checked file, in its header's order; ModelDamaged, ModelUnsafe."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
            raise _damaged(name, "its header is longer than the file")
        if length > HEADER_BYTES:
            raise jsonfile.too_large(f"The header of {name}", length, HEADER_BYTES)
        header = jsonfile.parse(stream.read(length), f"The header of {name}", limit=HEADER_BYTES)
    if not isinstance(header, dict):
        raise _damaged(name, "its header is no table of tensors")
    tensors = {tensor: _span(entry, tensor, name) for tensor, entry in header.items() if tensor != METADATA}
    end = 0
    for start, stop in sorted(tensors.values()):
        if start != end:
            raise _damaged(name, "its tensors overlap or leave holes")
        end = stop
    if end != size - LENGTH_BYTES - length:
        raise _damaged(name, "it ends elsewhere than its tensors")
    data = LENGTH_BYTES + length
    return [
        Entry(tensor, header[tensor]["dtype"], tuple(header[tensor]["shape"]), data + start)
        for tensor, (start, _) in tensors.items()
    ]


def _span(entry: Any, tensor: str, name: str) -> tuple[int, int]:
    """Where a tensor's bytes begin and end."""
    fields = entry if isinstance(entry, dict) else {}
    item = TYPE_BYTES.get(str(fields.get("dtype")))
    shape, offsets = _sizes(fields.get("shape")), _sizes(fields.get("data_offsets"))
    if item is None or shape is None or offsets is None or len(offsets) != 2:
        raise _damaged(name, f"the entry of the tensor {tensor[:80]!r} is not understood")
    if math.prod(shape) * item != offsets[1] - offsets[0]:
        raise _damaged(name, f"the size of the tensor {tensor[:80]!r} does not fit its shape")
    return offsets[0], offsets[1]


def _sizes(value: Any) -> list[int] | None:
    """A list of natural numbers, or None."""
    natural = isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
    return value if natural else None


def _damaged(name: str, finding: str) -> ModelDamaged:
    return ModelDamaged(f"{name} is damaged: {finding}; save or copy the model again.")
