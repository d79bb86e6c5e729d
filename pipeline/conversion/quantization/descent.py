"""Coordinate descent: codes and scales of a rounded matrix are changed as long as the product's output gains by it.

GPTQ decides a column when those behind it are still unrounded, and never looks back. With everything else as it is, the
best code of a column and the best scale of a block are known exactly. What is made small is (Q - W) H (Q - W)^T.
"""

from __future__ import annotations

import numpy as np

from pipeline.conversion.quantization.formats import Granularity, StorageFormat
from pipeline.conversion.quantization.rounding import SMALLEST_HALF, SMALLEST_SCALE
from pipeline.conversion.weights import Float32

ROUNDS = 2
# Columns whose changes reach the rest of the matrix in one product.
GROUP = 32


def descend(matrix: Float32, codes: Float32, scales: Float32, moments: Float32, described: StorageFormat) -> Float32:
    """Change codes [in, out] in place, and give the scales [blocks, out] that belong to them.

    matrix: what was rounded [in, out]. scales [blocks, out]: in the beginning. moments: symmetric and positive definite
    [in, in].
    """
    wide = len(matrix) // len(scales)
    scales = scales.copy()
    slope = moments @ (matrix - codes * np.repeat(scales, wide, 0))
    for _ in range(ROUNDS):
        _fit_scales(codes, scales, slope, moments, described)
        _change_codes(codes, scales, slope, moments, described)
    _fit_scales(codes, scales, slope, moments, described)
    return scales


def _fit_scales(
    codes: Float32, scales: Float32, slope: Float32, moments: Float32, described: StorageFormat
) -> None:  # fmt: skip
    """Give each block in turn the scale with the least error; slope [in, out]: H (W - Q)^T, kept up to date."""
    wide = len(codes) // len(scales)
    for block, scale in enumerate(scales):
        span = slice(block * wide, (block + 1) * wide)
        own = codes[span]
        gain, curve = (own * slope[span]).sum(0), (own * (moments[span, span] @ own)).sum(0)
        found = _storable(scale + np.divide(gain, curve, out=np.zeros_like(gain), where=curve > 0), described)
        change = found - scale
        change[change * (2 * gain - change * curve) <= 0] = 0
        scale += change
        slope -= moments[:, span] @ (own * change)


def _change_codes(
    codes: Float32, scales: Float32, slope: Float32, moments: Float32, described: StorageFormat
) -> None:  # fmt: skip
    wide = len(codes) // len(scales)
    for start in range(0, len(codes), GROUP):
        span = slice(start, min(start + GROUP, len(codes)))
        inner, near = moments[span, span], slope[span].copy()
        changes = np.empty_like(near)
        for at in range(len(near)):
            scale, code = scales[(start + at) // wide], codes[start + at]
            best = np.clip(np.rint(code + near[at] / (inner[at, at] * scale)), described.lowest, described.limit)
            changes[at] = (best - code) * scale
            codes[start + at] = best
            near[at:] -= inner[at:, at, None] * changes[at]
        slope -= moments[:, span] @ changes


def _storable(scales: Float32, described: StorageFormat) -> Float32:
    """Positive, and as the file will hold them."""
    if described.granularity is Granularity.BLOCK:
        return np.maximum(scales.astype(np.float16).astype(np.float32), SMALLEST_HALF)
    return np.maximum(scales, SMALLEST_SCALE)
