"""What a family's mapping returns, and the readings that the families share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.description import (
    OUTPUT_EMBEDDING,
    TOKEN_EMBEDDING,
    Activation,
    DecoderDescription,
    RotaryEmbedding,
)
from pipeline.conversion.keras_weights import KerasWeights, embedding_parameter, parameter_of

Backbone = Any
KerasLayer = Any


@dataclass(frozen=True)
class Architecture:
    """A mapped backbone. positions: the longest context that the model was made for, None when it has no such limit."""

    description: DecoderDescription
    positions: int | None = None


Mapping = Callable[[Backbone, KerasWeights], Architecture]


@dataclass(frozen=True)
class Embeddings:
    """What the token embedding tells about the description."""

    vocabulary_size: int
    hidden_size: int
    tied: bool
    logit_cap: float | None


def add_embeddings(backbone: Backbone, weights: KerasWeights) -> Embeddings:
    """The token embedding and, where it is not tied, the output embedding."""
    layer = backbone.token_embedding
    vocabulary_size, hidden_size = weights.add_table(TOKEN_EMBEDDING, embedding_parameter(layer))
    if not layer.tie_weights:
        reverse = parameter_of(layer.reverse_embeddings)
        weights.add_table(OUTPUT_EMBEDDING, reverse.select(lambda array: array.T))
    return Embeddings(vocabulary_size, hidden_size, bool(layer.tie_weights), layer.logit_soft_cap or None)


def plain_rotary(layer: KerasLayer, size: int) -> RotaryEmbedding:
    """KerasHub's RotaryEmbedding with linear scaling, or none."""
    kind = getattr(layer, "rope_type", "linear")
    if kind != "linear":
        raise UnsupportedArchitecture(
            f"The model uses {kind} scaling of its rotary embedding, which the decoder cannot express; use a model with"
            " linear scaling or none."
        )
    return RotaryEmbedding(float(layer.max_wavelength), size, position_scale=float(layer.scaling_factor))


def activation_of(function: Callable[..., Any]) -> Activation:
    """A Keras activation function by its name."""
    name = getattr(function, "__name__", type(function).__name__)
    known = {
        "gelu_approximate": Activation.GELU_TANH,
        "gelu": Activation.GELU,
        "relu": Activation.RELU,
        "silu": Activation.SILU,
        "swish": Activation.SILU,
    }
    if name not in known:
        raise UnsupportedArchitecture(
            f"The activation {name} is not one that the decoder can express; use one of {', '.join(known)}."
        )
    return known[name]
