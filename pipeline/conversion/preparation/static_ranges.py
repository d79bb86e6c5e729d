"""Static activations: the ranges by which a product's input and output are int8, for the products that can take them.

One range has to serve all tokens, the first as well, whose activations are often a thousand times as large as the
others'. Where that costs too much the product keeps a range for each token, taken as it runs.
"""

from __future__ import annotations

import numpy as np

from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.preparation.layer_work import LayerWork, StaticRanges
from pipeline.conversion.preparation.products import Product, layer_products
from pipeline.conversion.quantization.rounding import SMALLEST_SCALE, round_weights
from pipeline.conversion.weights import Float32

# Of the squared size of a token's output, the mean over the tokens.
LARGEST_ERROR = 1.2e-3
# Tokens that the error is measured on, and the ranges are taken from at once.
TOKENS, AT_ONCE = 256, 1024


def choose_ranges(work: LayerWork) -> None:
    """Note the ranges of the layer's matrices that can take them; the logits keep theirs for each token."""
    for product in work.products:
        if product.layer is None:
            continue
        inputs = work.whole_inputs(product)
        for name in product.matrices:
            found = _ranges(work, product, name, inputs)
            if found is not None:
                work.ranges[name] = found


def summarise(description: DecoderDescription, ranges: dict[str, StaticRanges]) -> str:
    """How many products got static activations, in a sentence."""
    matrices = sum(
        len(product.matrices)
        for index in range(len(description.layers))
        for product in layer_products(description, index)
    )
    return (
        f"{len(ranges)} of the layers' {matrices} matrix products take static int8 activations; the others keep"
        " ranges for each token, because one range for all would cost too much."
    )


def round_by(values: Float32, span: tuple[float, float]) -> Float32:
    """Values as int8 by one range holds them."""
    low, high = span
    scale = max((high - low) / 255, float(SMALLEST_SCALE))
    zero = round(-128 - low / scale)
    rounded: Float32 = ((np.clip(np.rint(values / scale) + zero, -128, 127) - zero) * scale).astype(np.float32)
    return rounded


def _ranges(work: LayerWork, product: Product, name: str, inputs: Float32) -> StaticRanges | None:
    rows = work.weights.rows(name, 0, work.weights.shape(name)[0])
    into, out = _span(inputs), (0.0, 0.0)
    biased, bias_name = out, name.removesuffix("weight") + "bias"
    bias = work.weights.rows(bias_name, 0, len(rows)) if bias_name in work.weights.names() else None
    for first in range(0, len(inputs), AT_ONCE):
        made = inputs[first : first + AT_ONCE] @ rows.T
        out = _span(made, out)
        biased = out if bias is None else _span(made + bias, biased)
    sample = inputs[:: max(1, len(inputs) // TOKENS)]
    wanted = sample @ rows.T
    stored = round_weights(rows.copy(), work.formats[product.name], name)
    given = round_by(round_by(sample, into) @ stored.T, out)
    sizes = np.square(wanted).sum(-1)
    error = np.square(given - wanted).sum(-1)[sizes > 0] / sizes[sizes > 0]
    return StaticRanges(into, out, biased) if len(error) and float(error.mean()) <= LARGEST_ERROR else None


def _span(values: Float32, beside: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    return min(beside[0], float(values.min())), max(beside[1], float(values.max()))
