"""Read a GGUF file: its metadata and its tensors as float32.

Knows the block types of the two models in `examples/` and names any other. Layouts as published with ggml
(`ggml-common.h`): a block holds 32 values, a "K" block 256.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MAGIC = b"GGUF"
VERSION = 3
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class UnreadableGguf(ValueError):
    """The file is cut, of another version, or holds a type that this reader does not know."""


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies. shape: [rows, values in a row] or [values]."""

    type_id: int
    shape: tuple[int, ...]
    offset: int


class Gguf:
    """An open file: `metadata` by key, tensors by name."""

    def __init__(self, path: Path) -> None:
        self._content = np.memmap(path, np.uint8, "r")
        self._position = 0
        try:
            self.metadata, self.tensors, self._start = self._read_head()
        except (struct.error, UnicodeDecodeError) as error:
            raise UnreadableGguf(f"{path} ends within its head or is damaged; fetch it again.") from error

    def tensor(self, name: str) -> Float32:
        """The values of a tensor, dequantized."""
        tensor = self.tensors[name]
        if tensor.type_id not in BLOCKS:
            raise UnreadableGguf(f"The tensor {name} has the GGUF type {tensor.type_id}, which this reader lacks.")
        values, size, unpack = BLOCKS[tensor.type_id]
        count = int(np.prod(tensor.shape)) // values
        first = self._start + tensor.offset
        blocks = np.asarray(self._content[first : first + count * size])
        if blocks.size != count * size:
            raise UnreadableGguf(f"The tensor {name} lies beyond the end of the file; fetch it again.")
        return unpack(blocks.reshape(count, size)).reshape(tensor.shape)

    def _read_head(self) -> tuple[dict[str, Any], dict[str, Tensor], int]:
        magic, version, tensor_count, entry_count = self._take("4sIQQ")
        if magic != MAGIC or version != VERSION:
            raise UnreadableGguf("The file is no GGUF of version 3; fetch it again.")
        metadata = {}
        for _ in range(entry_count):
            key = self._string()
            metadata[key] = self._value(self._take("I")[0])
        tensors = dict(self._tensor() for _ in range(tensor_count))
        alignment = metadata.get("general.alignment", 32)
        return metadata, tensors, self._position + -self._position % alignment

    def _tensor(self) -> tuple[str, Tensor]:
        name = self._string()
        shape = self._take(f"{self._take('I')[0]}Q")
        type_id, offset = self._take("IQ")
        return name, Tensor(type_id, tuple(reversed(shape)), offset)

    def _value(self, type_id: int) -> Any:
        if type_id == STRING:
            return self._string()
        if type_id != ARRAY:
            return self._take(SCALARS[type_id])[0]
        element, count = self._take("IQ")
        if element in (STRING, ARRAY):
            return [self._value(element) for _ in range(count)]
        return list(self._take(f"{count}{SCALARS[element]}"))

    def _string(self) -> str:
        (length,) = self._take("Q")
        return bytes(self._take(f"{length}s")[0]).decode()

    def _take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{layout}")
        taken = struct.unpack(f"<{layout}", self._content[self._position : self._position + size].tobytes())
        self._position += size
        return taken


def _halves(blocks: Bytes, start: int) -> Float32:
    """The float16 at a byte of every block, [blocks, 1]."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view(np.float16).astype(np.float32)


def _nibbles(packed: Bytes) -> Bytes:
    """The low halves of a block's bytes, then the high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _float32(blocks: Bytes) -> Float32:
    return np.ascontiguousarray(blocks).view(np.float32)


def _q4_1(blocks: Bytes) -> Float32:
    return _nibbles(blocks[:, 4:]) * _halves(blocks, 0) + _halves(blocks, 2)


def _q5_0(blocks: Bytes) -> Float32:
    fifth = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little")
    return ((_nibbles(blocks[:, 6:]) | fifth << 4).astype(np.float32) - 16) * _halves(blocks, 0)


def _q8_0(blocks: Bytes) -> Float32:
    return blocks[:, 2:].view(np.int8).astype(np.float32) * _halves(blocks, 0)


def _q4_k(blocks: Bytes) -> Float32:
    """Eight groups of 32 with scales and minima of 6 bits, packed in 12 bytes."""
    packed = blocks[:, 4:16]
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | (middle >> 6) << 4], axis=1)
    values = _nibbles(blocks[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    scaled = values * (scales * _halves(blocks, 0))[..., None] - (minima * _halves(blocks, 2))[..., None]
    return scaled.astype(np.float32)


def _q6_k(blocks: Bytes) -> Float32:
    """Sixteen groups of 16 with int8 scales; the values' upper two bits lie apart."""
    low, high = blocks[:, :128].reshape(-1, 2, 64), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    upper = (high >> np.array([0, 2, 4, 6], np.uint8)[:, None]) & 3
    values = (_nibbles(low).reshape(-1, 2, 4, 32) | upper << 4).astype(np.float32) - 32
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32) * _halves(blocks, 208)
    return values.reshape(-1, 16, 16) * scales[..., None]


# By the type's number: values and bytes of a block, and what unpacks blocks [n, bytes].
BLOCKS: dict[int, tuple[int, int, Callable[[Bytes], Float32]]] = {
    0: (1, 4, _float32),
    3: (32, 20, _q4_1),
    6: (32, 22, _q5_0),
    8: (32, 34, _q8_0),
    12: (256, 144, _q4_k),
    14: (256, 210, _q6_k),
}
