"""The forward pass of a description over whole sequences in NumPy: the witness for checkpoints that Keras does not
read.

It shares nothing with the decoder's graph: no TensorFlow, no cache, no fused operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import erf

from pipeline.conversion.description import (
    EMBEDDING_PROJECTION,
    OUTPUT_EMBEDDING,
    OUTPUT_PROJECTION,
    POSITION_EMBEDDING,
    TOKEN_EMBEDDING,
    Activation,
    DecoderDescription,
    Layer,
    Norm,
    RotaryEmbedding,
    layer_weight,
)
from pipeline.conversion.reference_plan import Int32
from pipeline.conversion.rotary import inverse_frequencies
from pipeline.conversion.weights import Float32, WeightSource

# The name of the product that the logits are made by, beside the layers' own.
LOGITS = "logits"

# Multiplications that are worth a thread of their own.
SHARED_FROM = 1 << 24

WITNESS = "the farm's own forward pass over the checkpoint's tensors, in NumPy"


class NumpyForward:
    """Logits of whole sequences, a layer at a time over all rows, so that each weight is read once a pass."""

    def __init__(self, description: DecoderDescription, weights: WeightSource, threads: int = 1) -> None:
        self._description = description
        self._weights = weights
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._seen: dict[str, Float32] | None = None

    def logits(self, rows: Sequence[Sequence[int]]) -> Float32:
        """Logits [R,L,V]; those behind a shorter row's end are zeros."""
        lengths = [len(row) for row in rows]
        hidden = _apart(self._run_layers(rows), lengths)
        table = self._table()
        logits = np.zeros((len(rows), max(lengths), self._description.vocabulary_size), np.float32)
        for number, x in enumerate(hidden):
            logits[number, : len(x)] = self._project(x, table)
        return logits

    def logits_after(self, tokens: Int32, last: int | None = None) -> Float32:
        """Logits [N,V] after each of one row's tokens [N], or after the last ones alone."""
        hidden = self._run_layers([tokens.tolist()])
        return self._project(hidden if last is None else hidden[-last:], self._table())

    def logits_of_each(self, rows: Sequence[Int32]) -> Iterator[Float32]:
        """The same after each of every row's tokens, one row's logits at a time."""
        hidden, table = self._run_layers([row.tolist() for row in rows]), self._table()
        for x in _apart(hidden, [len(row) for row in rows]):
            yield self._project(x, table)

    def _run_layers(self, rows: Sequence[Sequence[int]]) -> Float32:
        """Hidden states of all rows [N, hidden size], one row behind the other."""
        hidden = self._embed_all(rows)
        for index, layer in enumerate(self._description.layers):
            hidden = self._block(self._layer(index), layer, hidden, [len(row) for row in rows])
        return hidden

    def _table(self) -> Float32:
        return self._whole(TOKEN_EMBEDDING if self._description.tied_embedding else OUTPUT_EMBEDDING)

    def inputs_by_layer(self, rows: Sequence[Sequence[int]]) -> Iterator[dict[str, Float32]]:
        """What the matrix products read over all tokens [N,in], by the product's name: layer after layer, and last what
        the logits are made of. Only one layer's inputs are in memory."""
        hidden = self._embed_all(rows)
        for index, layer in enumerate(self._description.layers):
            seen: dict[str, Float32] = {}
            self._seen = seen
            hidden = self._block(self._layer(index), layer, hidden, [len(row) for row in rows])
            self._seen = None
            yield seen
        yield {LOGITS: self._before_logits(hidden)}

    def _whole(self, name: str) -> Float32:
        return self._weights.rows(name, 0, self._weights.shape(name)[0])

    def _layer(self, index: int) -> dict[str, Float32]:
        prefix = layer_weight(index, "")
        names = [name for name in self._description.weight_shapes() if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._whole(name) for name in names}

    def _embed_all(self, rows: Sequence[Sequence[int]]) -> Float32:
        """The rows' embeddings, one row behind the other."""
        return np.concatenate([self._embed(np.array(row, np.int64)) for row in rows])

    def _embed(self, tokens: Int32) -> Float32:
        description = self._description
        distinct, places = np.unique(tokens, return_inverse=True)
        table = np.stack([self._weights.rows(TOKEN_EMBEDDING, token, token + 1)[0] for token in distinct.tolist()])
        x = table[places] * np.float32(description.embedding_scale)
        if description.embedding_size is not None:
            x = x @ self._whole(EMBEDDING_PROJECTION).T
        if description.position_count is not None:
            x = x + self._weights.rows(POSITION_EMBEDDING, 0, len(tokens))
        if description.embedding_norm_epsilon is not None:
            x = self._outer_norm("embedding_norm", x, description.embedding_norm_epsilon)
        return x.astype(np.float32)

    def _project(self, x: Float32, table: Float32) -> Float32:
        return _cap(self._multiply(self._before_logits(x), table), self._description.final_logit_cap)

    def _before_logits(self, x: Float32) -> Float32:
        if self._description.final_norm:
            x = self._outer_norm("final_norm", x, self._description.final_norm_epsilon)
        return x if self._description.embedding_size is None else x @ self._whole(OUTPUT_PROJECTION).T

    def _outer_norm(self, name: str, x: Float32, epsilon: float) -> Float32:
        bias = self._whole(f"{name}_bias") if self._description.norm_bias else None
        return self._normalize(x, self._whole(f"{name}_scale"), bias, epsilon)

    def _normalize(self, x: Float32, scale: Float32, bias: Float32 | None, epsilon: float) -> Float32:
        if self._description.norm is Norm.LAYER:
            x = x - x.mean(-1, keepdims=True)
        return _rms(x, scale, epsilon) + (0 if bias is None else bias)

    def _norm(self, weights: dict[str, Float32], name: str, x: Float32) -> Float32:
        return self._normalize(x, weights[f"{name}_scale"], weights.get(f"{name}_bias"), self._description.norm_epsilon)

    def _block(self, weights: dict[str, Float32], layer: Layer, x: Float32, lengths: Sequence[int]) -> Float32:
        """A layer over rows of these lengths, one behind the other in x [N, hidden size]."""
        description = self._description
        after = description.norm_after_residual
        normed = x if after else self._norm(weights, "attention_norm", x)
        attended = self._attention(weights, layer, normed, lengths)
        if description.attention_output_norm:
            attended = self._norm(weights, "attention_output_norm", attended)
        total = (normed if description.residual_from_norm else x) + attended
        if after:
            total = self._norm(weights, "attention_norm", total)
        read = x if description.parallel_residual else total
        normed = read if after else self._norm(weights, "feed_forward_norm", read)
        forwarded = self._feed_forward(weights, normed)
        if description.feed_forward_output_norm:
            forwarded = self._norm(weights, "feed_forward_output_norm", forwarded)
        result = (normed if description.residual_from_norm else total) + forwarded
        return self._norm(weights, "feed_forward_norm", result) if after else result

    def _attention(self, weights: dict[str, Float32], layer: Layer, x: Float32, lengths: Sequence[int]) -> Float32:
        fused = _apart(self._linear(weights, "qkv", x), lengths)
        mixed = np.concatenate([self._mix_values(weights, layer, row) for row in fused])
        return self._linear(weights, "attention_output", mixed)

    def _mix_values(self, weights: dict[str, Float32], layer: Layer, fused: Float32) -> Float32:
        """What attention makes of one row's queries, keys and values."""
        description, length = self._description, len(fused)
        many, few, size = description.query_heads, description.key_value_heads, description.head_size
        parts = np.split(fused, [many * size, (many + few) * size], -1)
        queries, keys, values = (
            part.reshape(length, -1, size).transpose(1, 0, 2) for part in parts
        )  # [heads, tokens, size]
        if description.query_key_norm_epsilon is not None:
            queries = _rms(queries, weights["query_norm_scale"], description.query_key_norm_epsilon)
            keys = _rms(keys, weights["key_norm_scale"], description.query_key_norm_epsilon)
        if layer.rotary is not None:
            queries, keys = _turn(queries, layer.rotary), _turn(keys, layer.rotary)
        keys, values = (np.repeat(part, many // few, 0) for part in (keys, values))
        scale = np.float32(description.query_scale * layer.score_scale)
        scores = _cap(queries @ keys.transpose(0, 2, 1) * scale, description.attention_logit_cap)
        behind = np.arange(length)[:, None] - np.arange(length)[None]
        if description.alibi_slopes is not None:
            scores = scores - np.array(description.alibi_slopes, np.float32)[:, None, None] * behind
        unseen = behind < 0
        if layer.attention_window is not None:
            unseen = unseen | (behind >= layer.attention_window)
        scores = np.where(unseen, -np.inf, scores)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return (shares.astype(np.float32) @ values).transpose(1, 0, 2).reshape(length, many * size)

    def _feed_forward(self, weights: dict[str, Float32], x: Float32) -> Float32:
        activation = self._description.activation
        if self._description.gated_feed_forward:
            inner = _activate(activation, self._linear(weights, "gate", x)) * self._linear(weights, "up", x)
        else:
            inner = _activate(activation, self._linear(weights, "up", x))
        return self._linear(weights, "down", inner)

    def _linear(self, weights: dict[str, Float32], name: str, x: Float32) -> Float32:
        if self._seen is not None:
            self._seen[name] = x
        product = self._multiply(x, weights[f"{name}_weight"])
        bias = weights.get(f"{name}_bias")
        return product if bias is None else product + bias

    def _multiply(self, x: Float32, matrix: Float32) -> Float32:
        """x [N,in] by a matrix [out,in], each thread a part of the matrix.

        The library's own threads wait for each other without sleeping: where another process holds a core, a product
        takes many times as long. A stage's process has them switched off.
        """
        height = len(matrix)
        if self._threads == 1 or x.size * height < SHARED_FROM:
            return x @ matrix.T
        product = np.empty((len(x), height), np.float32)
        edges = np.linspace(0, height, self._threads + 1).astype(int).tolist()

        def fill(first: int, last: int) -> None:
            product[:, first:last] = x @ matrix[first:last].T

        list(self._pool.map(fill, edges[:-1], edges[1:]))
        return product


def _apart(x: Float32, lengths: Sequence[int]) -> list[Float32]:
    """Rows of these lengths that lie one behind the other."""
    return np.split(x, np.cumsum(lengths)[:-1])


def _rms(x: Float32, scale: Float32, epsilon: float) -> Float32:
    return (x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(epsilon)) * scale).astype(np.float32)


def _turn(x: Float32, rotary: RotaryEmbedding) -> Float32:
    """Turn the first `size` features of each head [heads, tokens, head size] by their positions."""
    angles = np.outer(np.arange(x.shape[1]), inverse_frequencies(rotary)).astype(np.float32)
    turn = (np.cos(angles) + 1j * np.sin(angles)) * rotary.amplitude
    half = rotary.size // 2
    turned = (x[..., :half] + 1j * x[..., half : rotary.size]) * turn
    return np.concatenate([turned.real, turned.imag, x[..., rotary.size :]], -1).astype(np.float32)


def _activate(activation: Activation, x: Float32) -> Float32:
    with np.errstate(over="ignore"):
        match activation:
            case Activation.GELU:
                return (x * 0.5 * (1 + erf(x / np.sqrt(np.float32(2))))).astype(np.float32)
            case Activation.GELU_TANH:
                return x * np.float32(0.5) * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + 0.044715 * x**3)))
            case Activation.QUICK_GELU:
                return x / (1 + np.exp(np.float32(-1.702) * x))
            case Activation.RELU:
                return np.maximum(x, 0)
            case Activation.RELU_SQUARED:
                return np.square(np.maximum(x, 0))
            case Activation.SILU:
                return x / (1 + np.exp(-x))
            case Activation.TANH:
                return np.tanh(x)


def _cap(x: Float32, cap: float | None) -> Float32:
    return x if cap is None else np.tanh(x / np.float32(cap)) * np.float32(cap)
