"""GPTQ as a step: the matrices of a layer's products are rounded by what went into them, and kept as codes."""

from __future__ import annotations

from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import Product
from pipeline.conversion.quantization import gptq
from pipeline.conversion.quantization.formats import FORMATS, Granularity
from pipeline.conversion.quantization.gptq import RoundedMatrix

# Wider codes gain nothing that is worth the time.
MOST_BITS = 4


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


def _keep(work: LayerWork, product: Product, rounded: RoundedMatrix) -> None:
    first = 0
    for name in product.matrices:
        last = first + work.weights.shape(name)[0]
        work.weights.rounded[name] = RoundedMatrix(rounded.codes[first:last], rounded.scales[first:last])
        first = last
