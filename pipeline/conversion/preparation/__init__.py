"""What is done to a model's weights before they are rounded, so that rounding costs less: the steps of a recipe.

`products` says which matrix products a decoder has and what they read. `calibration` chooses the tokens that show what
goes through them. `prepare` goes through the layers, one at a time, and hands each to the steps: `migration` moves
scale from activations to weights, `rotation` spreads what is left over blocks of features, `rounding_step` rounds by
what was seen, `static_ranges` says which products can take static activations, `row_scales` serves runtimes that know
one scale a matrix. What they do to a weight is written down in `changes` and done when its rows are read.
"""

from pipeline.conversion.preparation.prepare import Prepared, describe, prepare, steps_of

__all__ = ["Prepared", "describe", "prepare", "steps_of"]
