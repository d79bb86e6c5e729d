"""Every weight format, described once: its values, scales and tensors in a file, and the runtimes that compute it.

The runtimes were found by running each pair, not by reading release notes. A runtime refuses a file whose operators
have versions that it does not know, so the right number turns nonsense into an error; but no number stops TFLite 2.19
and 2.20 from computing int4 in blocks wrongly, hence the runtimes beside the versions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated

from farm.errors import RecipeNotRunnable
from farm.recipes import WeightFormat
from farm.runtimes import Runtime

# It ships no types.
_TYPES: Any = schema_py_generated.TensorType

FEW_BITS = 4

HOST_RUNTIME = Runtime.AI_EDGE_LITERT_2_3

_ALL = frozenset(Runtime)
_SINCE_2_17 = _ALL - {Runtime.TFLITE_2_14, Runtime.TFLITE_2_16}
_SINCE_2_19 = _SINCE_2_17 - {Runtime.TFLITE_2_17}
_SINCE_2_21 = _SINCE_2_19 - {Runtime.TFLITE_2_19, Runtime.TFLITE_2_20}


class Granularity(StrEnum):
    """What one scale is for; floats have none."""

    NONE = "none"
    TENSOR = "tensor"
    ROW = "row"
    BLOCK = "block"


@dataclass(frozen=True)
class StorageFormat:
    """A weight format in a file.

    bits: of a value; 4-bit values lie two in a byte, the first in the low half. block: values of a row that share a
    scale, with the granularity BLOCK. tensor_type: TFLite's. fully_connected, embedding_lookup: versions of the
    operators that read it. runtimes: those that compute it rightly; otherwise: what the others do. min_runtime: what
    the file says of itself in its metadata, None to leave the converter's own figure. instead: the format in which the
    same recipe is stored for older runtimes, None for none.
    """

    bits: int
    granularity: Granularity
    tensor_type: int
    fully_connected: int
    embedding_lookup: int
    runtimes: frozenset[Runtime]
    block: int = 0
    otherwise: str = ""
    min_runtime: str | None = None
    instead: WeightFormat | None = None

    @property
    def integer(self) -> bool:
        """Whether values are codes that a scale multiplies."""
        return self.granularity is not Granularity.NONE

    @property
    def limit(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1

    @property
    def lowest(self) -> int:
        """The smallest code: of the few that 4 bits have none is left out."""
        return -self.limit - (self.bits == FEW_BITS)

    @property
    def row_multiple(self) -> int:
        """What the length of a row must be a multiple of."""
        return self.block if self.granularity is Granularity.BLOCK else max(1, 8 // self.bits)

    def stored_bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a weight's values, without scales."""
        return int(np.prod(shape, dtype=np.int64)) * self.bits // 8


FORMATS: dict[WeightFormat, StorageFormat] = {
    WeightFormat.FLOAT32: StorageFormat(32, Granularity.NONE, _TYPES.FLOAT32, 1, 1, _ALL),
    WeightFormat.FLOAT16: StorageFormat(16, Granularity.NONE, _TYPES.FLOAT16, 1, 1, _ALL),
    WeightFormat.INT8_PER_TENSOR: StorageFormat(8, Granularity.TENSOR, _TYPES.INT8, 9, 3, _ALL),
    WeightFormat.INT8_PER_ROW: StorageFormat(
        8, Granularity.ROW, _TYPES.INT8, 12, 4, _SINCE_2_17,
        otherwise="has no per-row int8", min_runtime="2.17.0", instead=WeightFormat.INT8_PER_TENSOR,
    ),
    WeightFormat.INT4_PER_ROW: StorageFormat(
        4, Granularity.ROW, _TYPES.INT4, 12, 4, _SINCE_2_19,
        otherwise="has no per-row int4", min_runtime="2.19.0",
    ),
    WeightFormat.INT4_BLOCKS_OF_32: StorageFormat(
        4, Granularity.BLOCK, _TYPES.INT4, 13, 4, _SINCE_2_21, block=32,
        otherwise="computes int4 in blocks wrongly", min_runtime="2.21.0",
    ),
}  # fmt: skip


def check_runnable(weight_format: WeightFormat, runtime: Runtime) -> None:
    """RecipeNotRunnable when the runtime is known not to compute that weight format, or to compute it wrongly."""
    described = FORMATS[weight_format]
    if runtime not in described.runtimes:
        others = ", ".join(known for known in Runtime if known in described.runtimes)
        raise RecipeNotRunnable(
            f"{runtime} {described.otherwise}; choose another recipe, or one of the runtimes {others}."
        )


def newest(weight_formats: Collection[WeightFormat]) -> WeightFormat:
    """The one that the fewest runtimes know."""
    order = list(FORMATS)
    return max(weight_formats, key=order.index)


def format_for(weight_format: WeightFormat, runtime: Runtime) -> WeightFormat:
    """How a recipe's weight format is stored for that runtime: as it is, or in what older runtimes have instead."""
    described = FORMATS[weight_format]
    return weight_format if runtime in described.runtimes or described.instead is None else described.instead
