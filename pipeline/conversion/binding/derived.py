"""Weights as the bound graph reads them: stored ones, and ones computed from stored ones while they stream by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.conversion.weights import Float32, WeightSource

# Float32 elements of a matrix that are in memory at a time: 8 MB.
CHUNK_ELEMENTS = 2 << 20


@dataclass(frozen=True)
class Weight:
    """`name` of a WeightSource, perhaps changed.

    norm_scale: the vector that every row is multiplied by, element by element. shift: a matrix and a vector whose
    product is added; only for a vector.
    """

    name: str
    norm_scale: str | None = None
    shift: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """The weight's name in the file."""
        label = self.name if self.norm_scale is None else f"{self.name}*{self.norm_scale}"
        return label if self.shift is None else f"{label}+{self.shift[0]}@{self.shift[1]}"


@dataclass(frozen=True)
class DerivedWeights:
    """Answers for changed weights out of a source that has only the stored ones."""

    source: WeightSource

    def shape(self, weight: Weight) -> tuple[int, ...]:
        """The weight's shape, which no change alters."""
        return self.source.shape(weight.name)

    def rows(self, weight: Weight, start: int, stop: int) -> Float32:
        """Rows `start` to `stop` as an array that the caller may change."""
        rows = self.source.rows(weight.name, start, stop)
        if weight.norm_scale is not None:
            rows *= self._vector(weight.norm_scale)
        if weight.shift is not None:
            matrix, vector = weight.shift
            rows += self._product(matrix, vector, start, stop)
        return rows

    def _vector(self, name: str) -> Float32:
        return self.source.rows(name, 0, self.source.shape(name)[0])

    def _product(self, matrix: str, vector: str, start: int, stop: int) -> Float32:
        """Elements of matrix @ vector, summed in float64 so that the order of summation does not show."""
        factor = self._vector(vector).astype(np.float64)
        height = chunk_rows(self.source.shape(matrix))
        parts = [
            self.source.rows(matrix, first, min(first + height, stop)).astype(np.float64) @ factor
            for first in range(start, stop, height)
        ]
        return np.concatenate(parts).astype(np.float32)


def chunk_rows(shape: tuple[int, ...]) -> int:
    """How many rows of an array of that shape are taken at a time."""
    row = int(np.prod(shape[1:], dtype=np.int64))
    return max(1, CHUNK_ELEMENTS // max(1, row))
