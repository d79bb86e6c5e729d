"""The decoder in TensorFlow: one description, one forward pass over n tokens with a key-value cache.

Written the way that lets the converter emit its best operators: `matmul(x, W, transpose_b=True)` becomes
FULLY_CONNECTED, the lookup EMBEDDING_LOOKUP, and `x + (product + bias)` a fused bias. Parts are taken by `x[:, a:]`
(STRIDED_SLICE) or in equal halves (SPLIT): XNNPACK takes neither SPLIT_V nor SLICE of an unknown length, and each that
stands in a layer cuts the graph in two, which costs a step.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice

from pipeline.conversion.description import (
    EMBEDDING_PROJECTION,
    LOOKUP_SCALE,
    OUTPUT_EMBEDDING,
    OUTPUT_PROJECTION,
    POSITION_EMBEDDING,
    ROW_SCALES,
    TOKEN_EMBEDDING,
    Activation,
    DecoderDescription,
    Norm,
    RotaryEmbedding,
    layer_weight,
)
from pipeline.conversion.hadamard import hadamard
from pipeline.conversion.rotary import inverse_frequencies

Tensors = Mapping[str, tf.Tensor]

# Added to the scores of keys that must not be seen.
UNSEEN = -1e9
# A position that no text reaches, and yet near enough for a bias by distance not to outweigh UNSEEN.
BEHIND_ALL = 1 << 20

ACTIVATIONS: dict[Activation, Callable[[tf.Tensor], tf.Tensor]] = {
    Activation.GELU_TANH: partial(tf.nn.gelu, approximate=True),
    Activation.GELU: partial(tf.nn.gelu, approximate=False),
    Activation.QUICK_GELU: lambda x: x * tf.sigmoid(1.702 * x),
    Activation.RELU: tf.nn.relu,
    Activation.RELU_SQUARED: lambda x: tf.square(tf.nn.relu(x)),
    Activation.SILU: lambda x: x * tf.sigmoid(x),
    Activation.TANH: tf.tanh,
}


@dataclass(frozen=True)
class Earlier:
    """Caches [1, heads, places, head size] that are only read, of which the first `count` (scalar int32) are filled."""

    caches: Tensors
    count: tf.Tensor


@dataclass(frozen=True)
class View:
    """What the layers of one attention window see, and where in their caches they write.

    bias: added to the scores, float32 [1, 1 or key-value heads, query heads a key-value head * n, rows of all caches
    that are read], as `group_bias` makes it. start: scalar int32, the row that the first token's keys and values get.
    """

    bias: tf.Tensor
    start: tf.Tensor


def run_layers(
    description: DecoderDescription,
    weights: Tensors,
    tokens: tf.Tensor,
    input_pos: tf.Tensor,
    cache: Tensors,
    earlier: Earlier | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """All layers over n tokens, without the final norm; what each token sees follows from its position.

    tokens int32 [1, n], input_pos int32 [n], caches float32 [1, heads, rows, head size]; gives hidden states
    [n, hidden size] and the written caches, whose first row is position `earlier.count`, or 0. The caller makes sure
    that the n tokens fit into the cache.
    """
    key_positions = _row_numbers(next(iter(cache.values())))
    start = tf.reshape(tf.strided_slice(input_pos, [0], [1]), [])
    if earlier is not None:
        start -= earlier.count
        places = _row_numbers(next(iter(earlier.caches.values())))
        # What is not filled stands behind every position, where nothing looks.
        filled = tf.where(places < earlier.count, places, BEHIND_ALL)
        key_positions = tf.concat([filled, key_positions + earlier.count], 0)
    behind = input_pos[None, None, :, None] - key_positions[None, None, None, :]
    views = {
        window: View(group_bias(description, mask_of(behind, window), tf.cast(behind, tf.float32)), start)
        for window in {layer.attention_window for layer in description.layers}
    }
    return run_viewed_layers(description, weights, tokens, input_pos, cache, views, earlier)


def _row_numbers(cache: tf.Tensor) -> tf.Tensor:
    """The numbers of a cache's rows, int32 [rows]."""
    if cache.shape[2] is not None:
        return tf.range(cache.shape[2])
    return tf.cast(tf.reshape(_numbered(tf.abs(cache[:, :1, :, :1]) >= 0.0, 2), [-1]), tf.int32)


def _numbered(true: tf.Tensor, axis: int) -> tf.Tensor:
    """0, 1, 2 ... along an axis of a tensor that is true throughout, as float32."""
    # RANGE would make a tensor of unknown size, which no delegate takes.
    return tf.cumsum(tf.cast(true, tf.float32), axis=axis, exclusive=True)


def run_viewed_layers(
    description: DecoderDescription,
    weights: Tensors,
    tokens: tf.Tensor,
    input_pos: tf.Tensor,
    cache: Tensors,
    views: Mapping[int | None, View],
    earlier: Earlier | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The same where the caller says what the layers of each attention window see; n and the caches' rows may be
    unknown when the graph is made."""
    x = _embed(description, weights, tokens, input_pos)
    write_at = {window: tf.stack([0, 0, view.start, 0]) for window, view in views.items()}
    rotaries = {layer.rotary for layer in description.layers if layer.rotary is not None}
    rotations = {rotary: _rotation(rotary, input_pos) for rotary in rotaries}
    written: dict[str, tf.Tensor] = {}
    for index, layer in enumerate(description.layers):
        weight = partial(_layer_weight, weights, index)
        normed = x if description.norm_after_residual else _norm(description, weight, "attention_norm", x)
        turned, values = _heads(description, weight, normed)
        if layer.rotary is not None:
            turned = _rotate(turned, layer.rotary, rotations[layer.rotary])
        queries, keys = turned[:, : description.query_heads], turned[:, description.query_heads :]
        key_name, value_name = f"kv_cache_k_{index}", f"kv_cache_v_{index}"
        written[key_name] = dynamic_update_slice(cache[key_name], keys, write_at[layer.attention_window])
        written[value_name] = dynamic_update_slice(cache[value_name], values, write_at[layer.attention_window])
        parts = [] if earlier is None else [(earlier.caches[key_name], earlier.caches[value_name])]
        parts.append((written[key_name], written[value_name]))
        scale = description.query_scale * layer.score_scale
        mixed = _attend(description, queries * scale, parts, views[layer.attention_window].bias)
        mixed = _turn(description.rotations.attention_output, mixed)
        attended = _linear(description, description.attention_output_bias, weight, "attention_output", mixed)
        if description.attention_output_norm:
            attended = _norm(description, weight, "attention_output_norm", attended)
        after_attention = (normed if description.residual_from_norm else x) + attended
        if description.norm_after_residual:
            after_attention = _norm(description, weight, "attention_norm", after_attention)
        read = x if description.parallel_residual else after_attention
        normed = read if description.norm_after_residual else _norm(description, weight, "feed_forward_norm", read)
        forwarded = _feed_forward(description, weight, normed)
        x = (normed if description.residual_from_norm else after_attention) + forwarded
        if description.norm_after_residual:
            x = _norm(description, weight, "feed_forward_norm", x)
    return x, written


def project_logits(description: DecoderDescription, weights: Tensors, hidden: tf.Tensor) -> tf.Tensor:
    """Final norm and output projection: hidden states [n, hidden size] to logits [n, vocabulary size]."""
    normed = hidden
    if description.final_norm:
        normed = _norm(description, weights.__getitem__, "final_norm", hidden, description.final_norm_epsilon)
    if description.embedding_size is not None:
        normed = tf.matmul(normed, weights[OUTPUT_PROJECTION], transpose_b=True)
    table = TOKEN_EMBEDDING if description.tied_embedding else OUTPUT_EMBEDDING
    normed = _turn(description.rotations.logits, normed)
    return _cap(_product(description.row_scales, weights.__getitem__, table, normed), description.final_logit_cap)


@tf.function(experimental_implements="embedding_matmul", autograph=False)
def _look_up(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    # The converter knows this name and emits EMBEDDING_LOOKUP: a tied table is then stored once.
    return tf.gather(table, ids)


def _embed(description: DecoderDescription, weights: Tensors, tokens: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    rows = _look_up(weights[TOKEN_EMBEDDING], tf.reshape(tokens, [-1]))
    x = tf.reshape(rows, [-1, description.table_size])
    if description.row_scales:
        x *= tf.reshape(tf.gather(weights[TOKEN_EMBEDDING + ROW_SCALES], tf.reshape(tokens, [-1])), [-1, 1])
    if description.tied_embedding:
        # A Hadamard matrix undoes itself.
        x = _turn(description.rotations.logits, x)
    if description.lookup_scale:
        x *= weights[LOOKUP_SCALE]
    if description.embedding_size is not None:
        x = tf.matmul(x, weights[EMBEDDING_PROJECTION], transpose_b=True)
    if description.embedding_scale != 1.0:
        x *= description.embedding_scale
    if description.position_count is not None:
        x += tf.gather(weights[POSITION_EMBEDDING], input_pos)
    if description.embedding_norm_epsilon is not None:
        x = _norm(description, weights.__getitem__, "embedding_norm", x, description.embedding_norm_epsilon)
    return x


def mask_of(behind: tf.Tensor, window: int | None) -> tf.Tensor:
    """0 for keys that are seen and UNSEEN for the others, by how many positions they lie behind the query."""
    seen = behind >= 0
    if window is not None and not (behind.shape[-1] is not None and window >= behind.shape[-1]):
        seen = seen & (behind < window)
    return tf.where(seen, 0.0, UNSEEN)


def behind_by_row(input_pos: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """By how many positions each row of a cache in the text's order lies behind each token: float32 [1, 1, n, rows].

    mask: float32 [1, 1, n, rows] or [1, 1, 1, rows], of which only the number of rows is read.
    """
    return tf.cast(tf.reshape(input_pos, [1, 1, -1, 1]), tf.float32) - _numbered(mask[:, :, :1] < 1.0, 3)


def group_bias(description: DecoderDescription, mask: tf.Tensor, behind: tf.Tensor | None) -> tf.Tensor:
    """The bias of a View: a mask [1, 1, n, rows] for every head of a group, with ALiBi's share where the model has it.

    behind: float32 [1, 1, n, rows], by how many positions each key lies behind the query; only ALiBi asks for it.
    """
    group = description.query_heads // description.key_value_heads
    parts = [mask] * group
    if description.alibi_slopes is not None and behind is not None:
        slopes = np.asarray(description.alibi_slopes, np.float32).reshape(1, -1, group, 1)
        parts = [mask - slopes[:, :, member : member + 1] * behind for member in range(group)]
    # TILE instead does not survive the resizing of a graph under XNNPACK.
    return parts[0] if group == 1 else tf.concat(parts, 2)


def _rotation(rotary: RotaryEmbedding, input_pos: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosines and sines [1, 1, n, rotary size]; the first half of the sines is negative."""
    angles = tf.cast(input_pos, tf.float32)[:, None] * inverse_frequencies(rotary)[None, :]
    cosine, sine = tf.cos(angles)[None, None], tf.sin(angles)[None, None]
    if rotary.amplitude != 1.0:
        cosine, sine = cosine * rotary.amplitude, sine * rotary.amplitude
    return tf.concat([cosine, cosine], -1), tf.concat([-sine, sine], -1)


def _rotate(x: tf.Tensor, rotary: RotaryEmbedding, rotation: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Heads [1, heads, n, size] rotated by each token's position."""
    cosine, sine = rotation
    rest = x.shape[-1] - rotary.size
    part = x[..., : rotary.size] if rest else x
    first, second = tf.split(part, 2, -1)
    rotated = part * cosine + tf.concat([second, first], -1) * sine
    return tf.concat([rotated, x[..., rotary.size :]], -1) if rest else rotated


def _layer_weight(weights: Tensors, index: int, name: str) -> tf.Tensor:
    return weights[layer_weight(index, name)]


def _turn(block: int, x: tf.Tensor) -> tf.Tensor:
    """Multiply each block of features by the Hadamard matrix; block 0 leaves them as they are."""
    if not block:
        return x
    return tf.reshape(tf.matmul(tf.reshape(x, [-1, block]), hadamard(block)), [-1, x.shape[-1]])


def _linear(
    description: DecoderDescription, bias: bool, weight: Callable[[str], tf.Tensor], name: str, x: tf.Tensor
) -> tf.Tensor:
    product = _product(description.layers_scaled, weight, f"{name}_weight", x)
    return product + weight(f"{name}_bias") if bias else product


def _product(scaled: bool, weight: Callable[[str], tf.Tensor], matrix: str, x: tf.Tensor) -> tf.Tensor:
    product = tf.matmul(x, weight(matrix), transpose_b=True)
    return product * weight(matrix + ROW_SCALES) if scaled else product


def _norm(
    description: DecoderDescription,
    weight: Callable[[str], tf.Tensor],
    name: str,
    x: tf.Tensor,
    epsilon: float | None = None,
) -> tf.Tensor:
    epsilon = description.norm_epsilon if epsilon is None else epsilon
    if description.norm is Norm.RMS:
        normed = _rms_norm(x, weight(f"{name}_scale"), epsilon)
    else:
        normed = _rms_norm(x - tf.reduce_mean(x, -1, keepdims=True), weight(f"{name}_scale"), epsilon)
    return normed + weight(f"{name}_bias") if description.norm_bias else normed


def _rms_norm(x: tf.Tensor, norm_scale: tf.Tensor, epsilon: float) -> tf.Tensor:
    return _unit_rms(x, epsilon) * norm_scale


def _unit_rms(x: tf.Tensor, epsilon: float) -> tf.Tensor:
    return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + epsilon)


def _heads(
    description: DecoderDescription, weight: Callable[[str], tf.Tensor], x: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Queries and behind them keys [1, query and key-value heads, n, size], values [1, key-value heads, n, size].

    Queries and keys stay in one tensor as long as the same is done to both: half as many operators, of which a step has
    so many that each counts.
    """
    size, few, many = description.head_size, description.key_value_heads, description.query_heads
    fused = _linear(description, description.qkv_bias, weight, "qkv", _turn(description.rotations.qkv, x))
    heads = tf.transpose(tf.reshape(fused, [1, -1, many + 2 * few, size]), [0, 2, 1, 3])
    turned, values = heads[:, : many + few], heads[:, many + few :]
    if description.query_key_norm_epsilon is not None:
        normed = _unit_rms(turned, description.query_key_norm_epsilon)
        queries, keys = normed[:, :many] * weight("query_norm_scale"), normed[:, many:] * weight("key_norm_scale")
        turned = tf.concat([queries, keys], 1)
    return turned, values


def _attend(
    description: DecoderDescription, queries: tf.Tensor, parts: Sequence[tuple[tf.Tensor, tf.Tensor]], bias: tf.Tensor
) -> tf.Tensor:
    """Softmax attention of scaled queries over all places of the parts' keys and values: [n, query heads * size]."""
    size, few, many = description.head_size, description.key_value_heads, description.query_heads
    # The heads of a group become rows of one product, so that keys and values are never repeated.
    scaled = tf.reshape(queries, [1, few, -1, size])
    products = [tf.matmul(scaled, keys, transpose_b=True) for keys, _ in parts]
    scores = products[0] if len(parts) == 1 else tf.concat(products, -1)
    shares = tf.nn.softmax(_cap(scores, description.attention_logit_cap) + bias)
    if len(parts) == 1:
        mixed = tf.matmul(shares, parts[0][1])
    else:
        split = tf.split(shares, [keys.shape[2] or -1 for keys, _ in parts], -1)
        mixed = reduce(operator.add, (tf.matmul(share, part[1]) for share, part in zip(split, parts, strict=True)))
    mixed = tf.transpose(tf.reshape(mixed, [1, many, -1, size]), [0, 2, 1, 3])
    return tf.reshape(mixed, [-1, many * size])


def _feed_forward(description: DecoderDescription, weight: Callable[[str], tf.Tensor], normed: tf.Tensor) -> tf.Tensor:
    activation, bias = ACTIVATIONS[description.activation], description.feed_forward_bias
    normed = _turn(description.rotations.feed_forward, normed)
    if description.gated_feed_forward:
        gate = activation(_linear(description, bias, weight, "gate", normed))
        inner = gate * _linear(description, bias, weight, "up", normed)
    else:
        inner = activation(_linear(description, bias, weight, "up", normed))
    forwarded = _linear(description, bias, weight, "down", _turn(description.rotations.down, inner))
    if description.feed_forward_output_norm:
        forwarded = _norm(description, weight, "feed_forward_output_norm", forwarded)
    return forwarded


def _cap(x: tf.Tensor, cap: float | None) -> tf.Tensor:
    return x if cap is None else tf.tanh(x / cap) * cap
