"""Rows of a float32 matrix in the form that the file stores: symmetric, each row (block, matrix) with its own scale.

The arithmetic is that of ai-edge-quantizer's dynamic recipes, value for value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from farm.errors import BindingFailed
from farm.recipes import WeightFormat
from pipeline.conversion.quantization.formats import FORMATS, Granularity, StorageFormat
from pipeline.conversion.weights import Float32

# A row of zeros gets this scale, so that no division by zero arises.
SMALLEST_SCALE = np.float32(1e-30)
SMALLEST_HALF = np.finfo(np.float16).smallest_subnormal.astype(np.float32)
# Shares of the largest value that are tried as the largest one that is kept.
CLIPPING = np.linspace(0.6, 1.0, 9, dtype=np.float32)


@dataclass(frozen=True)
class StoredRows:
    """data: the rows as stored, contiguous. scales: float32 [rows] or [1], float16 [rows, blocks], None for floats."""

    data: NDArray[Any]
    scales: NDArray[Any] | None


def largest_magnitude(rows: Float32) -> float:
    """The largest |value|; NaN if any is."""
    return float(np.abs(rows).max(initial=0.0))


def store_rows(
    rows: Float32, weight_format: WeightFormat, name: str, largest: float | None = None, chosen: Float32 | None = None
) -> StoredRows:
    """Rows [n, in] (or elements of a vector) in that form; `rows` is overwritten. largest: the largest magnitude of
    the whole matrix, for a form with one scale; None for that of `rows`. chosen: scales [n] or [n, blocks] that were
    decided before, None for those by which the largest value of each row or block is kept.

    BindingFailed names the weight when it holds values that are not finite or too large for float16.
    """
    described = FORMATS[weight_format]
    if largest is None:
        largest = largest_magnitude(rows) if described.granularity in _UNDIVIDED else 0.0
    match weight_format:
        case WeightFormat.FLOAT32:
            _require_finite(largest, name)
            return StoredRows(np.ascontiguousarray(rows), None)
        case WeightFormat.FLOAT16:
            _require_finite(largest, name)
            if largest > float(np.finfo(np.float16).max):
                raise BindingFailed(
                    f"The weight {name} holds {largest:.3g}, too large for float16; use another recipe."
                )
            return StoredRows(rows.astype(np.float16), None)
        case WeightFormat.INT8_PER_TENSOR:
            _require_finite(largest, name)
            scale = np.maximum(np.array([largest], np.float32) / np.float32(described.limit), SMALLEST_SCALE)
            return StoredRows(_divide(rows, scale), scale)
        case WeightFormat.INT8_PER_ROW:
            scales = _scales(rows, described.limit, name) if chosen is None else chosen[..., None]
            return StoredRows(_clip(_divide(rows, scales), described), scales[..., 0])
        case WeightFormat.INT4_PER_ROW:
            scales = _scales(rows, described.limit, name) if chosen is None else chosen[..., None]
            return StoredRows(_pack(_clip(_divide(rows, scales), described)), scales[..., 0])
        case WeightFormat.INT4_BLOCKS_OF_32:
            blocks = rows.reshape(len(rows), -1, described.block)
            found = _scales(blocks, described.limit, name) if chosen is None else chosen[..., None]
            halves = found.astype(np.float16)
            # A scale that float16 rounds to zero must not divide; its block is stored as zeros by the limit below.
            scales = np.maximum(halves.astype(np.float32), SMALLEST_HALF)
            return StoredRows(_pack(_clip(_divide(blocks, scales), described)), halves[..., 0])
        case _:
            assert_never(weight_format)


def round_weights(rows: Float32, weight_format: WeightFormat, name: str) -> Float32:
    """What a file in that form holds in place of rows [n, in], with one scale a row where it has one in all."""
    described = FORMATS[weight_format]
    if not described.integer:
        return rows
    parts = rows.reshape(len(rows), -1, described.block) if described.block else rows
    scales = _scales(parts, described.limit, name)
    return (np.rint(parts / scales) * scales).reshape(rows.shape)


def clipped_scales(parts: Float32, described: StorageFormat, costs: Float32) -> Float32:
    """The scale of every row of the last axis with the least squared error, each column's weighted by its cost: larger
    values may be clipped. Scales of blocks are as float16 holds them."""
    half = described.granularity is Granularity.BLOCK
    largest = np.abs(parts).max(-1, keepdims=True) / np.float32(described.limit)
    best, least = largest, np.full(largest.shape, np.inf, np.float32)
    for share in CLIPPING[::-1]:
        scales = largest * share
        if half:
            scales = scales.astype(np.float16).astype(np.float32)
        scales = np.maximum(scales, SMALLEST_HALF if half else SMALLEST_SCALE)
        codes = np.clip(np.rint(parts / scales), described.lowest, described.limit)
        errors = (np.square(codes * scales - parts) * costs).sum(-1, keepdims=True)
        better = errors < least
        best, least = np.where(better, scales, best), np.where(better, errors, least)
    return best[..., 0]


def round_activations(rows: Float32) -> Float32:
    """What a product with dynamic int8 activations reads in place of rows [n, in]: 256 steps between a row's smallest
    and largest value, zero among them."""
    low, high = (np.minimum(rows.min(-1, keepdims=True), 0), np.maximum(rows.max(-1, keepdims=True), 0))
    scales = np.maximum((high - low) / np.float32(255), SMALLEST_SCALE)
    zero = np.rint(-low / scales)
    return (np.clip(np.rint(rows / scales) + zero, 0, 255) - zero) * scales


# Where one figure for the whole matrix decides.
_UNDIVIDED = (Granularity.NONE, Granularity.TENSOR)


def _scales(rows: Float32, limit: int, name: str) -> Float32:
    """The scale of every row of the last axis, which is kept with size 1."""
    largest = np.maximum(rows.max(-1, keepdims=True), -rows.min(-1, keepdims=True))
    _require_finite(float(largest.max()), name)
    return np.maximum(largest / np.float32(limit), SMALLEST_SCALE)


def _divide(rows: Float32, scales: Float32) -> NDArray[np.int8]:
    np.divide(rows, scales, out=rows)
    np.rint(rows, out=rows)
    return rows.astype(np.int8)


def _clip(codes: NDArray[np.int8], described: StorageFormat) -> NDArray[np.int8]:
    return np.clip(codes, described.lowest, described.limit)


def _pack(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two 4-bit values a byte, the first in the low half."""
    halves = values.reshape(-1).view(np.uint8)
    return np.bitwise_or(halves[0::2] & 15, halves[1::2] << 4, dtype=np.uint8)


def _require_finite(largest: float, name: str) -> None:
    if not np.isfinite(largest):
        raise BindingFailed(f"The weight {name} holds values that are no finite numbers; train or export it again.")
