"""Transformers' names of activations."""

from __future__ import annotations

from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.description import Activation

ACTIVATIONS: dict[str, Activation] = {
    "gelu": Activation.GELU,
    "gelu_python": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_accurate": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "quick_gelu": Activation.QUICK_GELU,
    "relu": Activation.RELU,
    "relu2": Activation.RELU_SQUARED,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "tanh": Activation.TANH,
}


def read_activation(settings: Settings, key: str, default: str) -> Activation:
    """The activation under that key; UnsupportedArchitecture names one that the decoder cannot express."""
    name = settings.text(key, default)
    if name not in ACTIVATIONS:
        raise settings.unsupported(key, name)
    return ACTIVATIONS[name]
