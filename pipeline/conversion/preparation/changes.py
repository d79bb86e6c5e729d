"""Weights that are changed while their rows are read: scaled by row and column, turned in blocks of either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.conversion.hadamard import hadamard, turn
from pipeline.conversion.quantization.gptq import RoundedMatrix
from pipeline.conversion.viewed_weights import ViewedWeights
from pipeline.conversion.weights import Float32


@dataclass
class Change:
    """What is done to a matrix [out, in], or to a vector [out], in this order.

    columns [in], rows [out]: factors. turned_rows: from this row on, None for nowhere, in blocks of `row_block`.
    column_block: of the columns that are turned, 0 for none. divisors [out]: of the rows as they are at last.
    """

    columns: Float32 | None = None
    rows: Float32 | None = None
    turned_rows: int | None = None
    row_block: int = 0
    column_block: int = 0
    divisors: Float32 | None = None

    def scale_columns(self, factors: Float32) -> None:
        """Multiply every row by the factors [in], beside what is done already."""
        self.columns = factors if self.columns is None else self.columns * factors

    def scale_rows(self, factors: Float32) -> None:
        """Multiply the rows by a factor each [out], beside what is done already."""
        self.rows = factors if self.rows is None else self.rows * factors


class ChangedWeights:
    """A WeightSource over another one; `added` holds vectors that the other does not have, `rounded` what matrices have
    become at last."""

    def __init__(self, source: ViewedWeights) -> None:
        self._source = source
        self.changes: defaultdict[str, Change] = defaultdict(Change)
        self.added: dict[str, Float32] = {}
        self.rounded: dict[str, RoundedMatrix] = {}

    def unrounded(self) -> ChangedWeights:
        """The same without what was rounded."""
        weights = ChangedWeights(self._source)
        weights.changes, weights.added = self.changes, self.added
        return weights

    def names(self) -> Sequence[str]:
        """Every weight, what was added last."""
        return [*self._source.names(), *self.added]

    def shape(self, name: str) -> tuple[int, ...]:
        """The weight's shape, which no change alters."""
        return self.added[name].shape if name in self.added else self._source.shape(name)

    def variable(self, name: str) -> Any:
        """The variable that has the weight's values, None for a weight that is changed."""
        others = (self.added, self.changes, self.rounded)
        return None if any(name in each for each in others) else self._source.variable(name)

    def rows(self, name: str, start: int, stop: int) -> Float32:
        """Rows `start` to `stop`, changed; a fresh array."""
        if name in self.rounded:
            return self.rounded[name].rows(start, stop)
        if name in self.added:
            return self.added[name][start:stop].copy()
        if name not in self.changes:
            return self._source.rows(name, start, stop)
        change = self.changes[name]
        first, last = start, stop
        turned_from = change.turned_rows
        if turned_from is not None and stop > turned_from:
            # Rows of one block are made of each other.
            first = start - max(0, start - turned_from) % change.row_block
            last = stop + (turned_from - stop) % change.row_block
        rows = self._source.rows(name, first, last)
        if change.columns is not None:
            rows *= change.columns
        if change.rows is not None:
            rows *= change.rows[first:last].reshape(-1, *(1 for _ in rows.shape[1:]))
        if turned_from is not None and last > turned_from:
            begin = max(first, turned_from) - first
            blocks = rows[begin:].reshape(-1, change.row_block, *rows.shape[1:])
            rows[begin:] = (
                np.tensordot(blocks, hadamard(change.row_block), (1, 0)).swapaxes(1, -1).reshape(rows[begin:].shape)
            )
        changed = turn(rows, change.column_block)[start - first : stop - first]
        if change.divisors is not None:
            changed = changed / change.divisors[start:stop, None]
        return np.ascontiguousarray(changed)
