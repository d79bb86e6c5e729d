"""The quantization recipes: one table, from which validation, help, docs and limits come.

Names follow LiteRT's scheme: `dynamic` (activations quantized at run time), `static` (by ranges that were taken before)
or `weight_only`, then the weights' type, then the activations' type.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum

from farm.errors import UnknownRecipe
from farm.runtimes import Runtime


class WeightFormat(StrEnum):
    """How matrices are stored in the file."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8_PER_TENSOR = "int8-per-tensor"
    INT8_PER_ROW = "int8-per-row"
    INT4_PER_ROW = "int4-per-row"
    INT4_BLOCKS_OF_32 = "int4-blocks-of-32"


class Activations(StrEnum):
    """What the inputs of matrix products are: as computed, or quantized to int8 by ranges that are taken for each
    product as it runs, or that a calibration text gave before."""

    FLOAT32 = "float32"
    DYNAMIC_INT8 = "dynamic-int8"
    STATIC_INT8 = "static-int8"


class Preparation(StrEnum):
    """A step that changes weights before they are rounded, so that rounding costs less, or rounds them with regard to
    what goes into them, or takes the ranges of static activations. Row scales are for runtimes that know one scale a
    matrix alone, whatever the recipe."""

    SCALE_MIGRATION = "scale-migration"
    ROTATION = "rotation"
    GPTQ = "gptq"
    STATIC_RANGES = "static-ranges"
    ROW_SCALES = "row-scales"


@dataclass(frozen=True)
class QualityLimits:
    """What the written artifact must reach against Keras (docs/quality.md).

    divergence: largest mean Kullback-Leibler divergence from Keras, in nats, over all positions of the texts.
    top1_agreement: least share (0 to 1) of these positions at which both hold the same token to be the likeliest.
    perplexity_ratio: largest perplexity of the artifact on the texts divided by Keras's.
    greedy_agreement: least share of steps on Keras's own greedy path at which the artifact's best token is
        Keras's. Steps where Keras's best logit leads the second by less than `near_tie` do not count: there the
        rounding that the recipe stands for decides, in a sound file as well.
    logit_difference: largest |artifact - Keras| over random tokens; None where a recipe rounds, since random tokens are
        no text and single logits differ widely in a sound file.

    near_tie and logit_difference are shares of the largest |Keras logit|, each step's mean taken off before, since
    softmax does not see it.
    """

    divergence: float
    top1_agreement: float
    perplexity_ratio: float
    greedy_agreement: float
    near_tie: float
    logit_difference: float | None = None


@dataclass(frozen=True)
class Recipe:
    """One way to store the weights and to compute with them.

    size_ratio: matrices' bytes against float32. fold_norms: norm scales are multiplied into the matrices behind them,
    which saves operators; rounding to few bits then suffers from columns of very different size. preparation: the steps
    before rounding, in their order. calibration_texts, calibration_length: how many texts they look at, and how many
    tokens of each. table_format: of the embedding, None for weight_format. finer_share: of the weights in the layers'
    matrices, how many are stored at int8 because they lose the most at weight_format. older_limits: where a runtime of
    RUNTIMES_BY_TENSOR gets a coarser format in its place; None where it gets none.
    """

    name: str
    alias: str
    weight_format: WeightFormat
    activations: Activations
    size_ratio: float
    summary: str
    limits: QualityLimits
    fold_norms: bool = False
    preparation: tuple[Preparation, ...] = ()
    calibration_length: int = 128
    calibration_texts: int = 16
    table_format: WeightFormat | None = None
    finer_share: float = 0.0
    older_limits: QualityLimits | None = None

    def limits_on(self, runtime: Runtime) -> QualityLimits:
        """What a file that is made for that runtime must reach."""
        return self.older_limits if self.older_limits and runtime in RUNTIMES_BY_TENSOR else self.limits

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded, so that every runtime writes the same text."""
        return self.weight_format is WeightFormat.FLOAT32 and self.activations is Activations.FLOAT32

    @property
    def calibrated(self) -> bool:
        """Whether a calibration text decides the file."""
        return self.activations is Activations.STATIC_INT8 or bool(
            {Preparation.SCALE_MIGRATION, Preparation.GPTQ} & set(self.preparation)
        )

    @property
    def four_bit(self) -> bool:
        """Whether only recent runtimes compute with the weights."""
        return self.weight_format in (WeightFormat.INT4_PER_ROW, WeightFormat.INT4_BLOCKS_OF_32)


# They have int8 with one scale for a whole matrix only.
RUNTIMES_BY_TENSOR = frozenset({Runtime.TFLITE_2_14, Runtime.TFLITE_2_16})
INT8_BY_TENSOR = QualityLimits(
    divergence=0.08, top1_agreement=0.82, perplexity_ratio=1.06, greedy_agreement=0.90, near_tie=0.02
)

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="none",
        alias="none",
        weight_format=WeightFormat.FLOAT32,
        activations=Activations.FLOAT32,
        fold_norms=True,
        size_ratio=1.0,
        summary="float32 weights, token for token equal to Keras",
        limits=QualityLimits(
            divergence=1e-6,
            top1_agreement=0.995,
            perplexity_ratio=1.0001,
            greedy_agreement=1.0,
            near_tie=1e-3,
            logit_difference=1e-4,
        ),
    ),
    Recipe(
        name="dynamic_wi8_afp32_rotated",
        alias="int8",
        weight_format=WeightFormat.INT8_PER_ROW,
        activations=Activations.DYNAMIC_INT8,
        preparation=(Preparation.SCALE_MIGRATION, Preparation.ROTATION),
        size_ratio=0.25,
        summary="int8 weights by row, prepared by a calibration text: a quarter of the size, close to exact",
        limits=QualityLimits(
            divergence=0.015, top1_agreement=0.88, perplexity_ratio=1.025, greedy_agreement=0.90, near_tie=0.02
        ),
        older_limits=INT8_BY_TENSOR,
    ),
    Recipe(
        name="dynamic_wi8_afp32",
        alias="int8-plain",
        weight_format=WeightFormat.INT8_PER_ROW,
        activations=Activations.DYNAMIC_INT8,
        size_ratio=0.25,
        summary="int8 weights by row as they are, activations quantized at run time: made and run the fastest",
        limits=QualityLimits(
            divergence=0.06, top1_agreement=0.82, perplexity_ratio=1.06, greedy_agreement=0.90, near_tie=0.02
        ),
        older_limits=INT8_BY_TENSOR,
    ),
    Recipe(
        name="dynamic_wi4b32_afp32_gptq",
        alias="int4",
        weight_format=WeightFormat.INT4_BLOCKS_OF_32,
        table_format=WeightFormat.INT8_PER_ROW,
        activations=Activations.DYNAMIC_INT8,
        preparation=(Preparation.SCALE_MIGRATION, Preparation.ROTATION, Preparation.GPTQ),
        calibration_length=256,
        calibration_texts=32,
        finer_share=0.045,
        size_ratio=0.17,
        summary="int4 weights in blocks of 32, rounded by a calibration text; the embedding int8",
        limits=QualityLimits(
            divergence=0.25, top1_agreement=0.68, perplexity_ratio=1.18, greedy_agreement=0.60, near_tie=0.04
        ),
    ),
    Recipe(
        name="dynamic_wi4b32_afp32_small",
        alias="int4-small",
        weight_format=WeightFormat.INT4_BLOCKS_OF_32,
        activations=Activations.DYNAMIC_INT8,
        preparation=(Preparation.SCALE_MIGRATION, Preparation.ROTATION, Preparation.GPTQ),
        calibration_length=256,
        calibration_texts=32,
        size_ratio=0.145,
        summary="as int4, with the embedding int4 too: the smallest",
        limits=QualityLimits(
            divergence=0.5, top1_agreement=0.55, perplexity_ratio=1.5, greedy_agreement=0.50, near_tie=0.04
        ),
    ),
    Recipe(
        name="dynamic_wi4b32_afp32",
        alias="int4-plain",
        weight_format=WeightFormat.INT4_BLOCKS_OF_32,
        table_format=WeightFormat.INT8_PER_ROW,
        activations=Activations.DYNAMIC_INT8,
        size_ratio=0.17,
        summary="int4 weights in blocks of 32 as they are, the embedding int8: for comparison",
        limits=QualityLimits(
            divergence=0.8, top1_agreement=0.50, perplexity_ratio=2.0, greedy_agreement=0.50, near_tie=0.04
        ),
    ),
    Recipe(
        name="weight_only_wf16_afp32",
        alias="fp16",
        weight_format=WeightFormat.FLOAT16,
        activations=Activations.FLOAT32,
        fold_norms=True,
        size_ratio=0.5,
        summary="float16 weights, float32 arithmetic: half the size, close to exact, slow on a CPU",
        limits=QualityLimits(
            divergence=0.001, top1_agreement=0.95, perplexity_ratio=1.005, greedy_agreement=0.98, near_tie=2e-3
        ),
    ),
    Recipe(
        name="static_wi8_ai8",
        alias="full-int8",
        weight_format=WeightFormat.INT8_PER_ROW,
        activations=Activations.STATIC_INT8,
        preparation=(Preparation.SCALE_MIGRATION, Preparation.ROTATION, Preparation.STATIC_RANGES),
        calibration_length=256,
        calibration_texts=32,
        size_ratio=0.25,
        summary="int8 weights by row; activations int8 by a calibration text's ranges where a product can take it",
        limits=QualityLimits(
            divergence=0.05, top1_agreement=0.82, perplexity_ratio=1.06, greedy_agreement=0.85, near_tie=0.02
        ),
    ),
)


def find(name: str) -> Recipe:
    """The recipe with that name or alias; UnknownRecipe names the closest one."""
    for recipe in RECIPES:
        if name in (recipe.name, recipe.alias):
            return recipe
    names = [word for recipe in RECIPES for word in dict.fromkeys((recipe.alias, recipe.name))]
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(names)}."
    raise UnknownRecipe(f"There is no recipe {name!r}; {hint}")
