from __future__ import annotations

import numpy as np

from pipeline.conversion.byte_bpe.row_displacement import displace_rows


def test_every_entry_is_found_and_nothing_else() -> None:
    random = np.random.default_rng(1)
    size = 120
    matrix = np.where(random.random((size, size)) < 0.1, random.integers(0, 9999, (size, size)), -1)
    matrix[7] = np.arange(size)  # a full row, over which the others must go
    entries = [(r, c, int(matrix[r, c])) for r in range(size) for c in range(size) if matrix[r, c] >= 0]
    rows = displace_rows(entries, size)
    for row in range(size):
        for column in range(size):
            wanted = int(matrix[row, column])
            assert rows.find(row, column) == (wanted if wanted >= 0 else None)
    # A place beyond the end is read at the last one, which no row may take for its own.
    assert rows.owner[-1] == -1
    # GATHER refuses negative indices.
    assert rows.displacement.min() >= 0
    assert len(rows.owner) < 2 * len(entries)


def test_a_matrix_without_entries() -> None:
    rows = displace_rows([], 5)
    assert all(rows.find(row, column) is None for row in range(5) for column in range(5))
    assert len(rows.owner) == len(rows.value) == 1


def test_far_columns_make_the_vectors_grow() -> None:
    entries = [(row, 9_999 - row % 3, row) for row in range(3_000)]
    rows = displace_rows(entries, 10_000)
    assert [rows.find(row, column) for row, column, _ in entries] == list(range(3_000))
