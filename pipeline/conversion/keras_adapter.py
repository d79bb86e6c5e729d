"""A KerasHub adapter (`.lora.h5`) switched on in a loaded model: Keras itself then computes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from farm import adapter_files
from farm.errors import AdapterUnusable
from pipeline.models.keras_adapter_file import read_layers

CausalLM = Any


def apply(causal_lm: CausalLM, source: Path) -> tuple[str, ...]:
    """Switch the adapter beside a model on, and say so; AdapterUnusable where it is of another base.

    KerasHub's own `load_lora_weights` asks only for the layers that are adapted by default and leaves others out
    without a word.
    """
    path = source / adapter_files.FOLDER / adapter_files.KERAS_FILE
    if not path.is_file():
        return ()
    # As KerasHub numbers them: those with weights, in their order.
    layers = [layer for layer in causal_lm.backbone._flatten_layers(include_self=False) if layer.weights]
    with h5py.File(path, "r", locking=False) as file:
        adapted = read_layers(file)
        for number, (down, up) in adapted.layers.items():
            layer: Any = layers[number] if number < len(layers) else None
            _require_fit(layer, number, down.shape, up.shape)
            layer.enable_lora(adapted.rank)
            layer.lora_kernel_a.assign(np.asarray(down[()], np.float32))
            layer.lora_kernel_b.assign(np.asarray(up[()], np.float32))
    return (f"A LoRA adapter of {len(adapted.layers)} layers is merged into the weights.",)


def _require_fit(layer: Any, number: int, down: tuple[int, ...], up: tuple[int, ...]) -> None:
    if layer is None or not hasattr(layer, "enable_lora") or not hasattr(layer, "kernel"):
        name = "no layer" if layer is None else f"{layer.name}, which has no matrix"
        raise AdapterUnusable(
            f"The adapter changes layer {number}, and the base has {name} there: it is an adapter for another model;"
            " give the base that it was trained on."
        )
    kernel = tuple(layer.kernel.shape)
    if (*down[:-1], up[-1]) != kernel:
        raise AdapterUnusable(
            f"The adapter changes a {[*down[:-1], up[-1]]} matrix in layer {number}, and {layer.name} of the base has"
            f" {list(kernel)}: it is an adapter for another model; give the base that it was trained on."
        )
