"""The check before binding: the decoder's own computation, in float32, must give Keras's logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from farm.errors import PreparationFailed, ReferenceMismatch
from pipeline.conversion import decoder, graph
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.full_forward import Forward
from pipeline.conversion.reference_plan import LAST_TOKENS, Int32
from pipeline.conversion.weights import Float32, WeightSource

# Largest difference of logits between decoder and Keras, as a share of the largest logit: float32's rounding over many
# layers stays a tenth of it.
TOLERANCE = 1e-4


class TensorSource(WeightSource, Protocol):
    """Weights of which some are a framework's own variables."""

    def variable(self, name: str) -> Any:
        """The variable that has the weight's values in the weight's own layout, None where there is none."""


def require_equal(actual: Float32, expected: Float32) -> float:
    """Largest difference between the decoder's and Keras's logits [N,V] as a share of Keras's largest;
    ReferenceMismatch beyond TOLERANCE."""
    scale = float(np.abs(expected).max())
    difference = float(np.abs(actual - expected).max())
    if not difference <= TOLERANCE * scale:
        raise ReferenceMismatch(
            f"The decoder and Keras disagree: over {len(expected)} random tokens the logits differ by {difference:.3g},"
            f" with the largest at {scale:.3g} and {TOLERANCE * scale:.3g} allowed; the model has a setting that its"
            " family's mapping does not read, so report it with its config.json."
        )
    return difference / scale if scale else 0.0


def require_unchanged(actual: Float32, expected: Float32) -> None:
    """PreparationFailed when the prepared model [N,V] no longer gives the logits of the model as it was."""
    scale, difference = float(np.abs(expected).max()), float(np.abs(actual - expected).max())
    if not difference <= TOLERANCE * scale:
        raise PreparationFailed(
            f"The preparation of the weights changed the model: over {len(expected)} random tokens the logits differ by"
            f" {difference:.3g}, with the largest at {scale:.3g}; choose a recipe without preparation, and report this"
            " with the job's log."
        )


def require_equal_far_on(
    description: DecoderDescription, weights: TensorSource, forward: Forward, tokens: Int32
) -> None:
    """The same behind the last of many tokens: a short text shows no window and no rotation that is little off."""
    actual = run_decoder(description, weights, tokens, last=LAST_TOKENS)
    require_equal(actual, forward.logits_after(tokens, last=LAST_TOKENS))


def run_decoder(
    description: DecoderDescription, weights: TensorSource, tokens: Int32, last: int | None = None
) -> Float32:
    """The graph's own computation in TensorFlow: logits [N,V] of one call of N tokens, one weight at a time; `last`:
    behind the last tokens alone."""
    length = len(tokens)
    shape = graph.cache_shape(description, length)
    cache = {name: tf.zeros(shape) for name in graph.cache_names(description)}
    tensors = LazyTensors(weights)
    hidden, _ = decoder.run_layers(description, tensors, tf.constant(tokens[None]), tf.range(length), cache)
    return np.asarray(decoder.project_logits(description, tensors, hidden if last is None else hidden[-last:]))


class LazyTensors(Mapping[str, tf.Tensor]):
    """Weights as tensors that are made when they are used and gone afterwards."""

    def __init__(self, weights: TensorSource) -> None:
        self._weights = weights

    def __getitem__(self, name: str) -> tf.Tensor:
        variable = self._weights.variable(name)
        if variable is not None:
            return variable.value.read_value()
        return tf.constant(self._weights.rows(name, 0, self._weights.shape(name)[0]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights.names())

    def __len__(self) -> int:
        return len(self._weights.names())
