"""A preparation as a list of steps, done layer by layer while one forward pass goes through the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from farm.errors import PreparationFailed
from farm.progress import Reporter
from farm.recipes import Activations, Preparation, Recipe, WeightFormat
from farm.runtimes import Runtime
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation import migration, rotation, rounding_step, row_scales, static_ranges
from pipeline.conversion.preparation.changes import ChangedWeights
from pipeline.conversion.preparation.layer_work import LayerWork, StaticRanges, even_out
from pipeline.conversion.preparation.products import Product, ProductName, layer_products, logits_product
from pipeline.conversion.quantization.formats import FORMATS, Granularity, format_for
from pipeline.conversion.viewed_weights import ViewedWeights
from pipeline.conversion.weights import Float32

STEPS: Mapping[Preparation, Callable[[LayerWork], None]] = {
    Preparation.SCALE_MIGRATION: migration.migrate,
    Preparation.ROTATION: rotation.rotate,
    Preparation.GPTQ: rounding_step.round_products,
    Preparation.STATIC_RANGES: static_ranges.measure_ranges,
    Preparation.ROW_SCALES: row_scales.divide_rows,
}
# Steps that look at weights alone.
BLIND = frozenset({Preparation.ROW_SCALES})


@dataclass(frozen=True)
class Prepared:
    """The same model in another description and with other weights: before these are rounded it computes the same.
    notes: what a reader of the job should know. ranges: of matrices whose activations are static. finer: the formats of
    matrices that are stored in another one than their product's."""

    description: DecoderDescription
    weights: ChangedWeights
    notes: tuple[str, ...] = ()
    ranges: Mapping[str, StaticRanges] = field(default_factory=dict)
    finer: Mapping[str, WeightFormat] = field(default_factory=dict)

    @property
    def unrounded(self) -> ChangedWeights:
        """The weights before the step that rounds."""
        return self.weights.unrounded()

    @property
    def scales(self) -> dict[str, Float32]:
        """Of the matrices that were rounded, by name."""
        return {name: rounded.scales for name, rounded in self.weights.rounded.items()}


def steps_of(recipe: Recipe, runtime: Runtime) -> tuple[Preparation, ...]:
    """The recipe's own steps, and what the runtime's weight format asks for."""
    stored = format_for(recipe.weight_format, runtime)
    scaled = FORMATS[stored].granularity is Granularity.TENSOR and recipe.activations is not Activations.STATIC_INT8
    return (*recipe.preparation, *([Preparation.ROW_SCALES] if scaled else []))


def describe(description: DecoderDescription, steps: Sequence[Preparation]) -> DecoderDescription:
    """The description of the prepared model, which is known before the steps are done."""
    if Preparation.SCALE_MIGRATION in steps:
        description = migration.describe(description)
    if Preparation.ROTATION in steps:
        description = rotation.describe(description)
    if Preparation.STATIC_RANGES in steps:
        description = static_ranges.describe(description)
    return row_scales.describe(description) if Preparation.ROW_SCALES in steps else description


def prepare(
    description: DecoderDescription, weights: ViewedWeights, steps: Sequence[Preparation],
    formats: Mapping[ProductName, WeightFormat], tokens: Sequence[Sequence[int]], report: Reporter,
    threads: int = 1, finer_share: float = 0.0,
) -> Prepared:  # fmt: skip
    """Do the steps in their order. tokens: what is read, each row behind the start token. finer_share: of the weights
    that are rounded, how many may be stored more finely after all."""
    changed = ChangedWeights(weights)
    turns = rotation.blocks(description) if Preparation.ROTATION in steps else dict.fromkeys(ProductName, 0)
    layers = len(description.layers)
    notes: list[str] = []
    ranges: dict[str, StaticRanges] = {}
    losses: dict[str, float] = {}
    forward = NumpyForward(description, weights, threads)
    looks = not BLIND.issuperset(steps)
    inputs = forward.inputs_by_layer(tokens) if looks else repeat(dict[str, Float32](), layers + 1)
    for index, seen in enumerate(inputs):
        report(index / (layers + 1), f"preparing layer {index + 1} of {layers}" if index < layers else "the logits")
        products = layer_products(description, index) if index < layers else (logits_product(description),)
        _require_finite(products, seen)
        even = {product.observed: even_out(seen[product.observed]) for product in products if seen}
        work = LayerWork(description, changed, products, formats, turns, seen, even, notes, ranges, losses)
        for step in steps:
            STEPS[step](work)
    if Preparation.STATIC_RANGES in steps:
        ranges = static_ranges.within_budget(ranges)
        notes.append(static_ranges.summarise(description, ranges))
    finer, said = rounding_step.keep_finer(changed, losses, finer_share)
    return Prepared(describe(description, steps), changed, (*notes, *said), ranges, finer)


def _require_finite(products: Sequence[Product], seen: Mapping[str, Float32]) -> None:
    for product in products:
        if not np.isfinite(seen.get(product.observed, 0.0)).all():
            raise PreparationFailed(
                f"On the calibration text the model computes numbers that are not finite ({product}); choose a recipe"
                " without preparation, or another text with --calibration."
            )
