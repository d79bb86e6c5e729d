"""A Keras model's parameters under the decoder's names: views that are evaluated only for the rows asked for.

Keras keeps a dense kernel as [in, out], some attention kernels as [heads, in, size], and queries, keys and values
apart; the graph wants [out, in] and one fused matrix. Nothing is copied until a row is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.viewed_weights import Parameter, ViewedWeights, variable_size

KerasLayer = Any
KerasVariable = Any


class KerasWeights(ViewedWeights):
    """Filled from Keras's layers."""

    def add_linear(self, name: str, *layers: KerasLayer) -> bool:
        """Dense or EinsumDense layers, one below the other, as `<name>_weight` and `<name>_bias`; whether biased."""
        return self.add_projection(name, [kernel_rows(layer) for layer in layers], [bias_of(layer) for layer in layers])

    def add_norm(self, name: str, layer: KerasLayer, offset: float = 0.0) -> float:
        """A LayerNorm or RMSNorm as `<name>_scale` and, if there is one, `<name>_bias`; gives its epsilon.

        offset: 1 for layers whose norm_scale is 1 + scale.
        """
        norm_scale = layer.gamma if hasattr(layer, "gamma") else layer.scale
        if norm_scale is None:
            raise UnsupportedArchitecture(f"The norm {name} has no norm_scale, which the decoder cannot express.")
        self._add(f"{name}_scale", [(parameter_of(norm_scale), 1)], offset)
        if getattr(layer, "beta", None) is not None:
            self._add(f"{name}_bias", [(parameter_of(layer.beta), 1)])
        return float(layer.epsilon)


def parameter_of(variable: KerasVariable) -> Parameter:
    """A variable as it is. NumPy arrays serve as variables too."""
    if isinstance(variable, np.ndarray):
        return Parameter(lambda: variable, ((variable, variable.size),), as_it_is=True)
    # read_value shares the variable's buffer, numpy() would copy it.
    return Parameter(
        lambda: np.asarray(variable.value.read_value()), ((variable, variable_size(variable)),), as_it_is=True
    )


def kernel_parameter(layer: KerasLayer) -> Parameter:
    """A Dense or EinsumDense layer's kernel; with LoRA the merged one, merged again at each reading."""
    if not getattr(layer, "lora_enabled", False):
        return parameter_of(layer.kernel)
    parts = (layer._kernel, layer.lora_kernel_a, layer.lora_kernel_b)
    return Parameter(lambda: np.asarray(layer.kernel), tuple((part, variable_size(part)) for part in parts))


def embedding_parameter(layer: KerasLayer) -> Parameter:
    """An embedding's table; with LoRA the merged one."""
    if not getattr(layer, "lora_enabled", False):
        return parameter_of(layer.embeddings)
    parts = (layer._embeddings, layer.lora_embeddings_a, layer.lora_embeddings_b)
    return Parameter(lambda: np.asarray(layer.embeddings), tuple((part, variable_size(part)) for part in parts))


def kernel_rows(layer: KerasLayer) -> tuple[Parameter, int]:
    """The kernel with its output axes first, and how many those are; for EinsumDense read off the equation."""
    kernel = kernel_parameter(layer)
    if not hasattr(layer, "equation"):
        return kernel.select(np.transpose), 1
    operands, result = layer.equation.replace(" ", "").split("->")
    inputs, axes = operands.split(",")
    out_axes = [axes.index(axis) for axis in result if axis in axes]
    in_axes = [axes.index(axis) for axis in inputs if axis in axes]
    return kernel.select(lambda array: array.transpose(out_axes + in_axes)), len(out_axes)


def bias_of(layer: KerasLayer) -> Parameter | None:
    """The layer's bias, if it has one."""
    bias = getattr(layer, "bias", None)
    return None if bias is None else parameter_of(bias)
