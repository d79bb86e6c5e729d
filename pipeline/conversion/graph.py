"""From a description to a weightless `.tflite` graph: one signature for any number of tokens and any length of text.

Its contract is in pipeline/inference/contract, the reasons in docs/decisions/0014-dynamic-lengths.md. Every weight is a
signature input `w__<name>`, so that the graph depends on the architecture alone.
"""

from __future__ import annotations

import ctypes
import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import tensorflow as tf

from pipeline.conversion.decoder import (
    View,
    behind_by_row,
    group_bias,
    mask_of,
    project_logits,
    run_viewed_layers,
)
from pipeline.conversion.description import DecoderDescription

WEIGHT_PREFIX = "w__"
DECODE = "decode"
RUN = "run"
LOGITS = "logits"
# One token that is sure and the drafts behind it. For more rows of a product XNNPACK reads all weights again: measured
# with AVX-512, where it does from the sixth row on; its kernels for phones take four.
VERIFY_TOKENS = 4


def prefill_name(length: int) -> str:
    """The signature that takes `length` tokens."""
    return f"prefill_{length}"


def score_name(length: int) -> str:
    """The signature that gives the logits after each of `length` tokens."""
    return f"score_{length}"


def cache_names(description: DecoderDescription) -> list[str]:
    """The names of the key and value caches, the same going in and coming out."""
    return [f"kv_cache_{kind}_{index}" for index in range(len(description.layers)) for kind in "kv"]


def cache_shape(description: DecoderDescription, context: int) -> tuple[int, int, int, int]:
    """[1, key-value heads, context, head size]."""
    return (1, description.key_value_heads, context, description.head_size)


def convert(description: DecoderDescription) -> bytes:
    """The weightless graph for any number of tokens and any length of text, as a `.tflite` file's content."""
    return convert_signatures({RUN: run_signature(description)})


def run_signature(description: DecoderDescription) -> tf.function:
    """The function of the signature `run`."""
    windows = ring_windows(description)
    caches, shapes = dynamic_cache_names(description), description.weight_shapes()
    cache = [1, description.key_value_heads, None, description.head_size]
    specs = [tf.TensorSpec([1, None], tf.int32, name="tokens"), tf.TensorSpec([None], tf.int32, name="input_pos")]
    specs += [tf.TensorSpec([None], tf.int32, name="rows")]
    specs += [tf.TensorSpec([1, 1, None, None], tf.float32, name=mask_name(window)) for window in windows]
    specs += [tf.TensorSpec([1], tf.int32, name=start_name(window)) for window in windows if window is not None]
    specs += [tf.TensorSpec(cache, tf.float32, name=name) for name in caches.values()]
    specs += [tf.TensorSpec(shape, tf.float32, name=WEIGHT_PREFIX + name) for name, shape in shapes.items()]

    def call(tokens: tf.Tensor, input_pos: tf.Tensor, rows: tf.Tensor, *rest: tf.Tensor) -> dict[str, tf.Tensor]:
        given = iter(rest)
        masks = {window: next(given) for window in windows}
        starts = {window: next(given) if window is not None else input_pos[:1] for window in windows}
        cache = {name: next(given) for name in caches}
        weights = dict(zip(shapes, given, strict=True))
        if description.alibi_slopes is None:
            biases = {window: group_bias(description, mask, None) for window, mask in masks.items()}
        else:
            behind = behind_by_row(input_pos, masks[None])
            starts = dict.fromkeys(attention_windows(description), starts[None])
            biases = {
                window: group_bias(description, masks[None] if window is None else mask_of(behind, window), behind)
                for window in starts
            }
        views = {window: View(bias, tf.reshape(starts[window], [])) for window, bias in biases.items()}
        hidden, written = run_viewed_layers(description, weights, tokens, input_pos, cache, views)
        logits = project_logits(description, weights, tf.gather(hidden, rows))
        return {caches[name]: value for name, value in written.items()} | {LOGITS: logits[None]}

    return tf.function(call, input_signature=specs, autograph=False)


def attention_windows(description: DecoderDescription) -> list[int | None]:
    """The attention windows of the layers, None first for layers that see everything."""
    return sorted({layer.attention_window for layer in description.layers}, key=lambda window: window or 0)


def ring_windows(description: DecoderDescription) -> list[int | None]:
    """For which attention windows the caller makes masks and keeps caches of their own; None for everything.

    ALiBi asks for each row's position, which a ring's mask does not say.
    """
    return [None] if description.alibi_slopes is not None else attention_windows(description)


def dynamic_cache_names(description: DecoderDescription) -> dict[str, str]:
    """The decoder's names of the caches, and those that the dynamic graph gives them."""
    return dict(zip(cache_names(description), windows_by_cache(description), strict=True))


def windows_by_cache(description: DecoderDescription) -> dict[str, int | None]:
    """The dynamic graph's caches by their names, and for which attention window each is kept."""
    found: dict[str, int | None] = {}
    for index, layer in enumerate(description.layers):
        window = layer.attention_window if description.alibi_slopes is None else None
        prefix = "kv_cache" if window is None else f"window_{window}"
        found |= {f"{prefix}_{kind}_{index}": window for kind in "kv"}
    return found


def mask_name(window: int | None) -> str:
    """The input with the mask of the layers of an attention window."""
    return "mask" if window is None else f"window_{window}_mask"


def start_name(window: int) -> str:
    """The input with the row of the window's caches that the first token is written to."""
    return f"window_{window}_start"


def convert_signatures(
    signatures: Mapping[str, tf.function], operators: Sequence[str] = (tf.lite.OpsSet.TFLITE_BUILTINS,)
) -> bytes:
    """Functions as a `.tflite` file's content with these operators."""
    module = tf.Module()
    for name, signature in signatures.items():
        setattr(module, name, signature)
    with tempfile.TemporaryDirectory(prefix="graph-") as folder:
        saved_model = Path(folder) / "saved_model"
        tf.saved_model.save(
            module,
            str(saved_model),
            signatures=signatures,
            options=tf.saved_model.SaveOptions(save_debug_info=False),
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=list(signatures))
        converter.target_spec.supported_ops = list(operators)
        content = bytes(converter.convert())
    _give_memory_back()
    return content


def _give_memory_back() -> None:
    """What the converter had in use, 200 MB at GPT-2's size, would else stay with the process; a matter of glibc's."""
    gc.collect()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
