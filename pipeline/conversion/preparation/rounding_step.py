"""GPTQ as a step: the matrices of a layer's products are rounded by what went into them, and kept as codes.

The few matrices whose products lose the most by it, as measured on what went into them, are left at int8 in the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from farm.recipes import WeightFormat
from pipeline.conversion.preparation.changes import ChangedWeights
from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import Product
from pipeline.conversion.quantization import gptq
from pipeline.conversion.quantization.formats import FORMATS, Granularity
from pipeline.conversion.quantization.gptq import RoundedMatrix

# Wider codes gain nothing that is worth the time.
MOST_BITS = 4
# What the worst matrices are stored as, and on how many tokens that is judged.
FINER, TOKENS = WeightFormat.INT8_PER_ROW, 256


def round_products(work: LayerWork) -> None:
    """Round the products that are stored in few bits; what can't be is left to plain rounding, with a note."""
    for product in work.products:
        described = FORMATS[work.formats[product.name]]
        if described.granularity not in (Granularity.ROW, Granularity.BLOCK) or described.bits > MOST_BITS:
            continue
        rounded = gptq.round_matrix(work.matrix_rows(product), gptq.hessian(work.inputs(product)), described)
        if rounded is None:
            work.notes.append(f"The matrices of {product} were rounded one by one: nothing went into them in the text.")
        else:
            _keep(work, product, rounded)


def keep_finer(
    weights: ChangedWeights, losses: Mapping[str, float], share: float
) -> tuple[dict[str, WeightFormat], tuple[str, ...]]:
    """Take back the rounding of the matrices that lose the most by it, up to a share of all weights that were rounded;
    their format by name, and a note."""
    sizes = {name: int(np.prod(weights.shape(name))) for name in weights.rounded}
    room = share * sum(sizes.values())
    finer = []
    for name in sorted(sizes, key=lambda name: losses[name], reverse=True):
        if sizes[name] <= room:
            room -= sizes[name]
            finer.append(name)
            del weights.rounded[name]
    if not finer:
        return {}, ()
    listed = ", ".join(f"{name.removesuffix('_weight')} ({losses[name]:.2g})" for name in finer)
    note = (
        f"Stored as {FINER}, because they lose the most of the layers' {len(sizes)} matrices by int4, as a share of the"
        f" squared size of what they give: {listed}."
    )
    return dict.fromkeys(finer, FINER), (note,)


def _keep(work: LayerWork, product: Product, rounded: RoundedMatrix) -> None:
    inputs = work.inputs(product)
    sample = inputs[:: max(1, len(inputs) // TOKENS)]
    first = 0
    for name in product.matrices:
        last = first + work.weights.shape(name)[0]
        exact = sample @ work.weights.rows(name, 0, last - first).T
        kept = RoundedMatrix(rounded.codes[first:last], rounded.scales[first:last])
        error = sample @ kept.rows(0, last - first).T - exact
        work.losses[name] = float(np.square(error).sum() / max(float(np.square(exact).sum()), 1e-30))
        work.weights.rounded[name] = kept
        first = last
