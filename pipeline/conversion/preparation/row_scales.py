"""Row scales: every row of a matrix is stored divided by its largest magnitude, which the product is multiplied by.

A runtime that knows one scale a matrix alone then rounds each row as finely as one that knows a scale a row. The price
is a multiplication by a vector behind each product, and behind the lookup of a token's row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.conversion.description import ROW_SCALES, TOKEN_EMBEDDING, DecoderDescription
from pipeline.conversion.preparation.changes import ChangedWeights
from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import ProductName
from pipeline.conversion.weights import Float32

# Of a table that is read at once.
ROWS = 4096


def describe(description: DecoderDescription) -> DecoderDescription:
    """The description of the model whose products are multiplied by row scales."""
    return replace(description, row_scales=True)


def divide_rows(work: LayerWork) -> None:
    """Divide the rows of the matrices of a layer's products, or of the tables."""
    for product in work.products:
        apart = product.name is ProductName.LOGITS and not work.description.tied_embedding
        for name in (*product.matrices, *([TOKEN_EMBEDDING] if apart else [])):
            scales = _largest(work.weights, name)
            work.weights.changes[name].divisors = scales
            work.weights.added[f"{name}{ROW_SCALES}"] = scales


def _largest(weights: ChangedWeights, name: str) -> Float32:
    """The largest magnitude of each row [out]; 1 of a row of zeros."""
    height = weights.shape(name)[0]
    parts = [np.abs(weights.rows(name, at, min(at + ROWS, height))).max(1) for at in range(0, height, ROWS)]
    largest = np.concatenate(parts)
    return np.where(largest > 0, largest, np.float32(1)).astype(np.float32)
