"""Scale migration: each input channel of a product is divided by a number and its column multiplied by it.

The idea of SmoothQuant (Xiao et al., 2023): what stands out in an activation is easier to round in the weights. The
division costs nothing as the model runs, since whoever makes the activation does it: a norm's scale, the rows of the
values, the rows of the ungated half of a feed-forward network. Of a tied table the looked-up rows are divided again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.conversion.description import LOOKUP_SCALE, DecoderDescription
from pipeline.conversion.hadamard import turn
from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import Product, ProductName, logits_product
from pipeline.conversion.quantization.rounding import round_activations, round_weights
from pipeline.conversion.weights import Float32

# Shares of the activation's size in the number beside one half; the rest comes from the weights'.
EXPONENTS = (0.35, 0.65)
# Of inputs and of the matrices' rows that the error is measured on.
INPUTS, ROWS = 128, 384
SMALLEST, LARGEST = 1e-3, 1e3
TINY = 1e-6


def migrate(work: LayerWork) -> None:
    """Choose and note the numbers of every product whose input's maker can divide by them."""
    # From the last on, so that a matrix whose rows are divided is seen as it will be.
    for product in reversed(work.products):
        if not divisible(work.description, product):
            continue
        divisors = _choose(work, product)
        for matrix in product.matrices:
            work.weights.changes[matrix].scale_columns(divisors)
        _divide_maker(work, product, divisors)
        work.divide_inputs(product, divisors)


def describe(description: DecoderDescription) -> DecoderDescription:
    """The description of the changed model."""
    if description.tied_embedding and divisible(description, logits_product(description)):
        return replace(description, lookup_scale=True, embedding_scale=1.0)
    return description


def divisible(description: DecoderDescription, product: Product) -> bool:
    """Whether the maker of the product's input can divide it."""
    match product.name:
        case ProductName.ATTENTION_OUTPUT:
            return True
        case ProductName.DOWN:
            return description.gated_feed_forward
        case _:
            return product.norm is not None


def _choose(work: LayerWork, product: Product) -> Float32:
    """The numbers [in] with the least error of the product's output; all 1 where nothing is better."""
    inputs, rows = work.inputs(product), work.matrix_rows(product, ROWS if product.layer is not None else 16 * ROWS)
    sample = inputs[:: max(1, len(inputs) // INPUTS)][:INPUTS]
    judged = rows[:: max(1, len(rows) // ROWS)][:ROWS]
    wanted = sample @ judged.T
    block, weight_format = work.blocks[product.name], work.formats[product.name]

    def error(divisors: Float32) -> float:
        turned = turn(np.concatenate([sample / divisors, judged * divisors]), block)
        given = round_activations(turned[: len(sample)])
        stored = round_weights(turned[len(sample) :], weight_format, product.matrices[0])
        return float(np.square(given @ stored.T - wanted).sum(dtype=np.float64))

    sizes = [_sizes(work.description, product, size, inputs, rows) for size in (_largest, _root_mean_square)]
    even = [(error(divisors), index, divisors) for index, divisors in enumerate(_divisors(pair, 0.5) for pair in sizes)]
    least, kind, best = min(even, key=lambda found: found[0])
    further = [(error(divisors), divisors) for divisors in (_divisors(sizes[kind], share) for share in EXPONENTS)]
    ones = np.ones(product.width, np.float32)
    return min([(least, best), *further, (error(ones), ones)], key=lambda found: found[0])[1]


def _sizes(
    description: DecoderDescription, product: Product, size: Callable[[Float32], Float32], inputs: Float32,
    rows: Float32,
) -> tuple[Float32, Float32]:  # fmt: skip
    """How large each channel is in the inputs and in the matrices."""
    found = size(inputs), size(rows)
    if product.name is ProductName.ATTENTION_OUTPUT:
        # The heads of a group read the same values.
        found = _over_groups(description, found[0]), _over_groups(description, found[1])
    return np.maximum(found[0], TINY), np.maximum(found[1], TINY)


def _divisors(sizes: tuple[Float32, Float32], exponent: float) -> Float32:
    """The numbers [in], around 1."""
    logarithms = exponent * np.log(sizes[0]) - (1 - exponent) * np.log(sizes[1])
    return np.clip(np.exp(logarithms - logarithms.mean()), SMALLEST, LARGEST).astype(np.float32)


def _largest(rows: Float32) -> Float32:
    largest: Float32 = np.abs(rows).max(0)
    return largest


def _root_mean_square(rows: Float32) -> Float32:
    return np.sqrt(np.square(rows).mean(0))


def _over_groups(description: DecoderDescription, sizes: Float32) -> Float32:
    heads = sizes.reshape(description.key_value_heads, -1, description.head_size)
    return np.broadcast_to(heads.max(1, keepdims=True), heads.shape).reshape(-1)


def _divide_maker(work: LayerWork, product: Product, divisors: Float32) -> None:
    description, changes = work.description, work.weights.changes
    if product.norm is not None:
        for part in ("scale", "bias") if description.norm_bias else ("scale",):
            changes[f"{product.norm}_{part}"].scale_rows(1 / divisors)
        if product.name is ProductName.LOGITS and description.tied_embedding:
            work.weights.added[LOOKUP_SCALE] = (np.float32(description.embedding_scale) / divisors).astype(np.float32)
        return
    if product.name is ProductName.DOWN:
        name, biased, factors = "up", description.feed_forward_bias, 1 / divisors
    else:
        few, size = description.key_value_heads, description.head_size
        kept = np.ones((description.query_heads + few) * size, np.float32)
        own = divisors.reshape(few, -1, size)[:, 0].reshape(-1)
        name, biased, factors = "qkv", description.qkv_bias, np.concatenate([kept, 1 / own])
    for part in ("weight", "bias") if biased else ("weight",):
        changes[product.neighbour(f"{name}_{part}")].scale_rows(factors)
