"""GPTQ: rounding a matrix column after column, each error being made up for by the columns that follow.

After Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained transformers" (2022). What
is made small is the error of the product's output on the inputs that were seen, |X (Q - W)^T|, which their second
moments X^T X, the Hessian, measure. Coordinate descent goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from pipeline.conversion.quantization.descent import descend
from pipeline.conversion.quantization.formats import StorageFormat
from pipeline.conversion.quantization.rounding import clipped_scales
from pipeline.conversion.weights import Float32

Float64 = NDArray[np.float64]

# Added to the Hessian's diagonal as a share of its mean; more of it where it can't be factorized. A calibration text
# has a few tokens for each feature, so that what it says of two features together is partly chance: with a hundredth,
# as is usual, the error on other texts is up to a fifth larger.
DAMPING = (0.4, 1.0, 4.0)
# Columns whose errors reach the rest of the matrix in one product.
GROUP = 32


@dataclass(frozen=True)
class RoundedMatrix:
    """codes int8 [out, in] and the scales that multiply them: float32 [out], or [out, blocks]."""

    codes: NDArray[np.int8]
    scales: Float32

    @property
    def shape(self) -> tuple[int, int]:
        """[out, in]."""
        return self.codes.shape

    def rows(self, start: int, stop: int) -> Float32:
        """The values of rows `start` to `stop`."""
        codes, scales = self.codes[start:stop], self.scales[start:stop]
        parts = codes.reshape(len(codes), 1 if scales.ndim == 1 else scales.shape[1], -1)
        values: Float32 = parts.astype(np.float32) * scales.reshape(*parts.shape[:2], 1)
        return values.reshape(codes.shape)


@dataclass(frozen=True)
class DampedMoments:
    """moments [in, in], damped, with a mean of 1 on the diagonal before; factor: upper triangular U, U^T U = H^-1."""

    moments: Float32
    factor: Float32


def hessian(inputs: Float32) -> Float64:
    """The second moments [in, in] of inputs [N, in]."""
    moments: Float64 = (inputs.T @ inputs).astype(np.float64)
    return moments


def round_matrix(matrix: Float32, moments: Float64, described: StorageFormat) -> RoundedMatrix | None:
    """A matrix [out, in] in a format with a scale for each row or block; None where the moments [in, in] can't be
    factorized."""
    damped = damp(moments)
    if damped is None:
        return None
    codes, scales = round_columns(matrix, damped, described)
    fitted = descend(np.ascontiguousarray(matrix.T), codes, scales, damped.moments, described)
    return RoundedMatrix(
        np.ascontiguousarray(codes.T.astype(np.int8)),
        np.ascontiguousarray(fitted.T) if described.block else fitted[0],
    )


def round_columns(matrix: Float32, damped: DampedMoments, described: StorageFormat) -> tuple[Float32, Float32]:
    """The codes [in, out] of a matrix [out, in], and their scales: [blocks, out], or [1, out] without blocks."""
    width, block, factor = matrix.shape[1], described.block, damped.factor
    columns = matrix.T.copy()
    codes = np.empty(columns.shape, np.float32)
    scales = [] if block else [clipped_scales(matrix, described, _weights(factor, 0, width))]
    for start in range(0, width, GROUP):
        stop = min(start + GROUP, width)
        errors = np.empty((stop - start, len(matrix)), np.float32)
        for column in range(start, stop):
            if block and column % block == 0:
                part = columns[column : column + block].T
                scales.append(clipped_scales(part, described, _weights(factor, column, column + block)))
            scale = scales[-1]
            codes[column] = np.clip(np.rint(columns[column] / scale), described.lowest, described.limit)
            error = (columns[column] - codes[column] * scale) / factor[column, column]
            columns[column + 1 : stop] -= factor[column, column + 1 : stop, None] * error
            errors[column - start] = error
        columns[stop:] -= factor[start:stop, stop:].T @ errors
    return codes, np.stack(scales)


def output_error(changed: Float32, matrix: Float32, moments: Float64) -> float:
    """The sum of squares of X (changed - matrix)^T, by the moments X^T X."""
    difference = (changed - matrix).astype(np.float64)
    return float(((difference @ moments) * difference).sum())


def _weights(factor: Float32, start: int, stop: int) -> Float32:
    """What an error in each of these columns costs."""
    weights: Float32 = 1 / np.square(np.diagonal(factor)[start:stop])
    return weights / weights.mean()


def damp(moments: Float64) -> DampedMoments | None:
    """Moments [in, in] with something added to the diagonal; None for those that say nothing, or that can't be
    factorized."""
    diagonal = np.diagonal(moments)
    mean = float(diagonal.mean())
    if not np.isfinite(moments).all() or mean <= 0:
        return None
    places = np.diag_indices(len(moments))
    for damping in DAMPING:
        # Of wide products each copy takes half a gigabyte.
        damped = moments / mean
        # A column whose input was always zero is rounded by itself.
        damped[places] += np.where(diagonal == 0, 1.0, 0.0)
        damped[places] += damping
        try:
            # With rows and columns in reverse, the lower factor of H gives the upper one of its inverse.
            lower = scipy.linalg.cholesky(damped[::-1, ::-1], lower=True, check_finite=False)
            upper = scipy.linalg.solve_triangular(
                lower[::-1, ::-1], np.eye(len(lower)), lower=False, check_finite=False, overwrite_b=True
            )
        except np.linalg.LinAlgError:
            continue
        return DampedMoments(damped.astype(np.float32), upper.astype(np.float32))
    return None
