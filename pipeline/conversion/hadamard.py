"""Hadamard matrices, which spread what stands out in a block of features evenly over the block.

Sylvester's construction, scaled so that the matrix is symmetric and undoes itself.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pipeline.conversion.weights import Float32

# Larger blocks cost more to turn and gain little.
LARGEST_BLOCK = 64
# Smaller ones spread nothing to speak of.
SMALLEST_BLOCK = 8


@cache
def hadamard(size: int) -> Float32:
    """The matrix [size, size] for a power of two; not to be written to."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    scaled = (matrix / np.sqrt(size)).astype(np.float32)
    scaled.setflags(write=False)
    return scaled


def block_for(width: int, largest: int = LARGEST_BLOCK) -> int:
    """The largest power of two up to `largest` that divides a row of `width`, 0 where it is too small to help."""
    block = min(width & -width, largest)
    return block if block >= SMALLEST_BLOCK else 0


def turn(rows: Float32, block: int) -> Float32:
    """Rows [..., n] with each block of features turned; as they are for the block 0."""
    if not block:
        return rows
    turned: Float32 = (rows.reshape(-1, block) @ hadamard(block)).reshape(rows.shape)
    return turned
