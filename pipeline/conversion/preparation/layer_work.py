"""What the steps of a preparation work on: one layer's products, what went into them, and the weights so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from farm.recipes import WeightFormat
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.hadamard import turn
from pipeline.conversion.preparation.changes import ChangedWeights
from pipeline.conversion.preparation.products import Product, ProductName
from pipeline.conversion.weights import Float32

# Of a token's activations, as a multiple of the median token's.
LONGEST = 2.0


@dataclass(frozen=True)
class StaticRanges:
    """By which a product with one matrix can be int8: smallest and largest value of what goes into it and of what comes
    out of it; zero is in each. error: what the output loses by that, as a share of its squared size."""

    into: tuple[float, float]
    out: tuple[float, float]
    error: float


@dataclass
class LayerWork:
    """One layer, or the logits.

    description: of the model as it was. weights: all of the model's, as changed so far. formats: how each product's
    matrices will be stored. blocks: in which its input will be turned. seen: the products' inputs [N, in] by their
    names in the forward pass; even: the same with long rows shortened. notes: what a reader of the job should know.
    ranges: of the matrices whose activations can be static. losses: what the outputs of the matrices that were rounded
    lost by it, as a share of their squared size.
    """

    description: DecoderDescription
    weights: ChangedWeights
    products: tuple[Product, ...]
    formats: Mapping[ProductName, WeightFormat]
    blocks: Mapping[ProductName, int]
    seen: Mapping[str, Float32]
    even: Mapping[str, Float32]
    notes: list[str] = field(default_factory=list)
    ranges: dict[str, StaticRanges] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    _divisors: dict[ProductName, Float32] = field(default_factory=dict)
    _turned: dict[ProductName, int] = field(default_factory=dict)

    def divide_inputs(self, product: Product, divisors: Float32) -> None:
        """Note that the product's input is divided by these [in]."""
        self._divisors[product.name] = divisors

    def turn_inputs(self, product: Product, block: int) -> None:
        """Note that the product's input is turned in such blocks."""
        self._turned[product.name] = block

    def inputs(self, product: Product) -> Float32:
        """What goes into the product [N, in] as things are now, long rows shortened."""
        return self._as_now(product, self.even[product.observed])

    def whole_inputs(self, product: Product) -> Float32:
        """What goes into the product [N, in] as things are now."""
        return self._as_now(product, self.seen[product.observed])

    def _as_now(self, product: Product, rows: Float32) -> Float32:
        if product.name in self._divisors:
            rows = rows / self._divisors[product.name]
        return turn(rows, self._turned.get(product.name, 0))

    def matrix_rows(self, product: Product, most: int | None = None) -> Float32:
        """The rows of the product's matrices [out, in] as things are now; evenly chosen, about `most` of them."""
        parts = []
        for name in product.matrices:
            height = self.weights.shape(name)[0]
            share = height if most is None else max(1, most // len(product.matrices))
            parts.append(_spread_rows(self.weights, name, height, share))
        return np.concatenate(parts)


def even_out(rows: Float32) -> Float32:
    """Rows [N, in] with those that are much longer than most shortened.

    Trained models often give the first token activations a thousand times as large as any other's. Each token's
    activations are rounded to a scale of their own, so that the length says nothing of the error, and yet such a token
    would decide alone what is kept.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    longest = LONGEST * np.median(lengths)
    return rows * np.minimum(1, longest / np.maximum(lengths, longest / 1e6 + 1e-30)).astype(np.float32)


def _spread_rows(weights: ChangedWeights, name: str, height: int, most: int) -> Float32:
    """Up to `most` rows in runs of 16 from all over the matrix."""
    run = 16
    if height <= most:
        return weights.rows(name, 0, height)
    starts = np.linspace(0, height - run, max(1, most // run)).astype(int)
    return np.concatenate([weights.rows(name, int(start), min(int(start) + run, height)) for start in starts])
