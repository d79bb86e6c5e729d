"""Static activations: the ranges by which a product's input and output are int8, for the products that can take them.

One range has to serve all tokens, the first as well, whose activations are often a thousand times as large as the
others', and all features. What comes out is therefore divided by the largest value of each feature, in the matrix, and
multiplied by it behind the product. What goes in may be cut off where few values are. The products that lose the most
by it nevertheless keep a range for each token, taken as the model runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipeline.conversion.description import ROW_SCALES, DecoderDescription
from pipeline.conversion.preparation.layer_work import LayerWork, StaticRanges
from pipeline.conversion.preparation.products import Product, layer_products
from pipeline.conversion.quantization.rounding import SMALLEST_SCALE, round_weights
from pipeline.conversion.weights import Float32

# What the static products may lose in all, as a share of the squared size of a token's output, for each of the layers'
# matrices. A layer of a deep model says less than one of a shallow model, so that the mean counts.
BUDGET = 2.2e-4
# Of the values that go in, what may be cut off at each end.
CUT = (1e-5, 5e-5, 2e-4)
# Tokens that the error is measured on, from all over the text and the largest ones; and that are looked at at once, or
# to see where few values are.
TOKENS, LARGE_TOKENS, AT_ONCE = 256, 8, 1024
# Of a divided output.
OUT = (-1.0, 1.0)


def describe(description: DecoderDescription) -> DecoderDescription:
    """The description of the model whose layers' products are multiplied by output scales."""
    return replace(description, output_scales=True)


def measure_ranges(work: LayerWork) -> None:
    """Divide the outputs of the layer's matrices, and note their ranges; the logits keep theirs for each token."""
    for product in work.products:
        if product.layer is None:
            continue
        inputs = work.whole_inputs(product)
        spans = _spans(inputs)
        errors = np.array([_divide(work, product, name, inputs, spans) for name in product.matrices])
        # The matrices of a product read one tensor.
        best = int(errors.sum(0).argmin())
        for name, error in zip(product.matrices, errors[:, best], strict=True):
            work.ranges[name] = StaticRanges(spans[best], OUT, float(error))


def within_budget(ranges: Mapping[str, StaticRanges]) -> dict[str, StaticRanges]:
    """The ranges of the products that lose least by them, as many as the budget has room for."""
    order = sorted(ranges, key=lambda name: ranges[name].error)
    spent = np.cumsum([ranges[name].error for name in order])
    return {name: ranges[name] for name, total in zip(order, spent, strict=True) if total <= BUDGET * len(ranges)}


def summarise(description: DecoderDescription, ranges: Mapping[str, StaticRanges]) -> str:
    """How many products got static activations, and which kinds of them, in a sentence."""
    all_products = [
        (product, name)
        for index in range(len(description.layers))
        for product in layer_products(description, index)
        for name in product.matrices
    ]
    kinds = dict.fromkeys(product.name for product, _ in all_products)
    shares = ", ".join(
        f"{kind} {sum(name in ranges for name in names)} of {len(names)}"
        for kind, names in ((kind, [name for product, name in all_products if product.name is kind]) for kind in kinds)
    )
    return (
        f"{len(ranges)} of the layers' {len(all_products)} matrix products take static int8 activations ({shares}); the"
        " others keep ranges for each token, because one range for all would cost too much."
    )


def round_by(values: Float32, span: tuple[float, float]) -> Float32:
    """Values as int8 by one range holds them."""
    low, high = span
    scale = max((high - low) / 255, float(SMALLEST_SCALE))
    zero = round(-128 - low / scale)
    rounded: Float32 = ((np.clip(np.rint(values / scale) + zero, -128, 127) - zero) * scale).astype(np.float32)
    return rounded


def _spans(inputs: Float32) -> list[tuple[float, float]]:
    """What the inputs may be cut off at, first of all nowhere; zero is in each."""
    values = inputs[:: max(1, len(inputs) // AT_ONCE)].reshape(-1)
    lowest = [round(share * (values.size - 1)) for share in CUT]
    highest = [values.size - 1 - at for at in lowest]
    ordered = np.partition(values, sorted({*lowest, *highest}))
    ends = [
        (inputs.min(), inputs.max()),
        *((ordered[low], ordered[high]) for low, high in zip(lowest, highest, strict=True)),
    ]
    return [(min(0.0, float(low)), max(0.0, float(high))) for low, high in ends]


def _divide(
    work: LayerWork, product: Product, name: str, inputs: Float32, spans: list[tuple[float, float]]
) -> list[float]:
    """Divide the matrix's rows by the largest outputs; what the output loses by each span of the inputs."""
    rows = work.weights.rows(name, 0, work.weights.shape(name)[0])
    largest = np.zeros(len(rows), np.float32)
    for first in range(0, len(inputs), AT_ONCE):
        largest = np.maximum(largest, np.abs(inputs[first : first + AT_ONCE] @ rows.T).max(0))
    scales = np.where(largest > 0, largest, np.float32(1))
    work.weights.changes[name].divisors = scales
    work.weights.added[f"{name}{ROW_SCALES}"] = scales
    sample = _sample(inputs)
    stored = round_weights(rows.copy(), work.formats[product.name], name)
    wanted = sample @ rows.T
    return [_loss(round_by(round_by(sample, span) @ stored.T / scales, OUT) * scales, wanted) for span in spans]


def _sample(inputs: Float32) -> Float32:
    even = np.arange(0, len(inputs), max(1, len(inputs) // TOKENS))
    large = np.argsort(np.square(inputs).sum(1))[-LARGE_TOKENS:]
    return inputs[np.concatenate([even, large])]


def _loss(given: Float32, wanted: Float32) -> float:
    """The squared error of a token's output over its squared size, the mean over the tokens."""
    sizes = np.square(wanted).sum(-1)
    errors = np.square(given - wanted).sum(-1)[sizes > 0] / sizes[sizes > 0]
    return float(errors.mean()) if len(errors) else np.inf
