"""From a description to a weightless `.tflite` graph: `prefill_<n>` and `decode` in LiteRT-LM's contract, `score_<n>`.

The last gives the logits after each of its tokens (docs/decisions/0005-drafted-tokens.md).
Every weight is a signature input `w__<name>`, so that the graph depends on the architecture alone.
"""

from __future__ import annotations

import ctypes
import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import tensorflow as tf

from pipeline.conversion.decoder import project_logits, run_layers
from pipeline.conversion.description import DecoderDescription

WEIGHT_PREFIX = "w__"
DECODE = "decode"
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


def convert(description: DecoderDescription, context: int, prefill_lengths: Sequence[int]) -> bytes:
    """The graph as a `.tflite` file's content, with built-in operators only and all weights as inputs."""
    return convert_signatures(token_signatures(description, context, prefill_lengths))


def token_signatures(
    description: DecoderDescription, context: int, prefill_lengths: Sequence[int]
) -> dict[str, tf.function]:
    """The `tokens` mode's functions by their names."""
    signatures = {prefill_name(length): _signature(description, context, length) for length in prefill_lengths}
    verified = min(VERIFY_TOKENS, context)
    signatures[score_name(verified)] = _signature(description, context, verified, with_logits=True)
    signatures[DECODE] = _signature(description, context, 1, with_logits=True)
    return signatures


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


def _signature(description: DecoderDescription, context: int, length: int, with_logits: bool = False) -> tf.function:
    caches, shapes = cache_names(description), description.weight_shapes()
    specs = [tf.TensorSpec([1, length], tf.int32, name="tokens"), tf.TensorSpec([length], tf.int32, name="input_pos")]
    specs += [tf.TensorSpec(cache_shape(description, context), tf.float32, name=name) for name in caches]
    specs += [tf.TensorSpec(shape, tf.float32, name=WEIGHT_PREFIX + name) for name, shape in shapes.items()]

    def call(tokens: tf.Tensor, input_pos: tf.Tensor, *rest: tf.Tensor) -> dict[str, tf.Tensor]:
        cache = dict(zip(caches, rest[: len(caches)], strict=True))
        weights = dict(zip(shapes, rest[len(caches) :], strict=True))
        hidden, written = run_layers(description, weights, tokens, input_pos, cache)
        if with_logits:
            logits = project_logits(description, weights, hidden)
            written["logits"] = tf.reshape(logits, [1, length, description.vocabulary_size])
        return written

    # Without autograph, which there is nothing for here, tracing takes half the time.
    return tf.function(call, input_signature=specs, autograph=False)
