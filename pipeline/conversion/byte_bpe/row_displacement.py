"""A sparse matrix as three vectors, by row displacement (Tarjan and Yao, "Storing a sparse table", 1979).

Each row is laid over one long vector, moved so far that its entries meet no other row's. So a pair of tokens finds
its merge with two lookups and without 64-bit keys, which TFLite's hash tables would want.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
# How many places are tried at a time.
WINDOW = 4096


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Entry (row, column) lies at i = displacement[row] + column if owner[i] == row; then it is value[i].

    The last place is nobody's, so that a place beyond the end can be read there.
    """

    displacement: Int32
    owner: Int32
    value: Int32

    def find(self, row: int, column: int) -> int | None:
        """The entry, or None: what the graph does with gathers."""
        at = int(self.displacement[row]) + column
        return int(self.value[at]) if at < len(self.owner) and self.owner[at] == row else None


def displace_rows(entries: Iterable[tuple[int, int, int]], size: int) -> SparseRows:
    """Lay out entries (row, column, value) of a matrix of size x size: the fullest rows first, each where it fits."""
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, column, value in entries:
        rows[row].append((column, value))
    displacement = np.zeros(size, np.int32)
    total = sum(len(row) for row in rows.values())
    capacity = 2 * (size + total) + 2 * WINDOW
    owner, values = np.full(capacity, -1, np.int32), np.zeros(capacity, np.int32)
    end = first_free = 0
    for row, pairs in sorted(rows.items(), key=lambda item: (-len(item[1]), item[0])):
        columns = np.array([column for column, _ in pairs])
        # No displacement is negative, since GATHER refuses negative indices.
        shift = max(0, first_free - int(columns.min()))
        while True:
            if shift + int(columns.max()) + WINDOW > len(owner):
                owner = np.concatenate([owner, np.full(len(owner), -1, np.int32)])
                values = np.concatenate([values, np.zeros(len(values), np.int32)])
            taken = np.zeros(WINDOW, bool)
            for column in columns:
                taken |= owner[shift + column : shift + column + WINDOW] >= 0
            free = np.flatnonzero(~taken)
            if len(free):
                shift += int(free[0])
                break
            shift += WINDOW
        owner[shift + columns] = row
        values[shift + columns] = [value for _, value in pairs]
        displacement[row] = shift
        end = max(end, shift + int(columns.max()) + 1)
        while owner[first_free] >= 0:
            first_free += 1
    return SparseRows(displacement, owner[: end + 1].copy(), values[: end + 1].copy())
