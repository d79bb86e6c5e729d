"""Deliberate faults: what a wrong mapping, a wrong file or a wrong description makes of a sound model.

Each changes what the decoder and the binder are given, or what goes beside the file; the witness and the source stay
as they are, so that a job sees what it would see of a bug of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.conversion.description import (
    OUTPUT_EMBEDDING,
    TOKEN_EMBEDDING,
    DecoderDescription,
    Layer,
    layer_weight,
)
from pipeline.conversion.weights import Float32, WeightSource

SEED = 5
BLOCK = 32
# How much the weights of an older checkpoint differ from those of the last, as a share of their deviation.
STALE = 0.3
# By how much the scale of a garbage block is too large.
GARBAGE_SCALE = 64

Matrix = Float32
Change = Callable[[Matrix], Matrix]


class ChangedWeights:
    """A model's weights, some of them changed or added; those that the description does not want are left out."""

    def __init__(self, weights: WeightSource, description: DecoderDescription, changes: Mapping[str, Change]) -> None:
        self._weights = weights
        self._shapes = description.weight_shapes()
        self._changes = changes
        self._last: tuple[str, Matrix] | None = None

    def names(self) -> Sequence[str]:
        """Every weight that the description names."""
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """The weight's shape; KeyError when there is none of that name."""
        return self._shapes[name]

    def rows(self, name: str, start: int, stop: int) -> Float32:
        """Rows of the changed weight."""
        if name not in self._changes:
            return self._weights.rows(name, start, stop)
        if self._last is None or self._last[0] != name:
            source = TOKEN_EMBEDDING if name == OUTPUT_EMBEDDING else name
            whole = self._weights.rows(source, 0, self._weights.shape(source)[0])
            self._last = (name, self._changes[name](whole))
        # A copy: a part of the whole would hold all of it.
        return np.array(self._last[1][start:stop], np.float32)

    def variable(self, _name: str) -> None:
        """No weight is a variable of Keras's."""
        return


@dataclass(frozen=True)
class Faulty:
    """What the decoder and the binder are given."""

    description: DecoderDescription
    weights: ChangedWeights


@dataclass(frozen=True)
class ModelFault:
    """A fault of the computation. `what`: as the table names it."""

    what: str
    apply: Callable[[DecoderDescription, WeightSource], Faulty]


@dataclass(frozen=True)
class FileFault:
    """A fault of what goes beside the file: `change` gives the new content of model-info.json."""

    what: str
    change: Callable[[dict[str, Any]], dict[str, Any]]


def _weight(name: str, change: Callable[[DecoderDescription, Matrix], Matrix]) -> Callable[..., Faulty]:
    """Change one matrix of the layer in the middle."""

    def apply(description: DecoderDescription, weights: WeightSource) -> Faulty:
        full_name = layer_weight(len(description.layers) // 2, name)
        return Faulty(
            description, ChangedWeights(weights, description, {full_name: lambda matrix: change(description, matrix)})
        )

    return apply


def _double_scale(description: DecoderDescription, weights: WeightSource) -> Faulty:
    """What the feed-forward of the layer in the middle adds, twice; a norm behind it would undo a doubled matrix."""
    name = "feed_forward_output_norm_scale" if description.feed_forward_output_norm else "down_weight"
    return _weight(name, lambda _, scales: 2 * scales)(description, weights)


def _described(change: Callable[[DecoderDescription], DecoderDescription]) -> Callable[..., Faulty]:
    """Change the description alone."""

    def apply(description: DecoderDescription, weights: WeightSource) -> Faulty:
        changed = change(description)
        return Faulty(changed, ChangedWeights(weights, changed, {}))

    return apply


def _layers(description: DecoderDescription, change: Callable[[Layer], Layer]) -> DecoderDescription:
    return replace(description, layers=tuple(change(layer) for layer in description.layers))


def _swap_heads(description: DecoderDescription, matrix: Matrix) -> Matrix:
    """The queries of the first head and of the last in each other's place."""
    size, last = description.head_size, description.query_heads - 1
    order = np.arange(len(matrix))
    order[:size], order[last * size : (last + 1) * size] = np.arange(last * size, (last + 1) * size), np.arange(size)
    swapped: Matrix = matrix[order]
    return swapped


def _next_frequency(layer: Layer) -> Layer:
    """Every pair of features turns at the speed of the next one."""
    if layer.rotary is None:
        return layer
    rotary = layer.rotary
    step = rotary.base ** (2 / rotary.size)
    return replace(layer, rotary=replace(rotary, position_scale=rotary.position_scale * step))


def _other_window(description: DecoderDescription, context: int) -> DecoderDescription:
    """No window where the model has some; one of half the context where it has none."""
    has = any(layer.attention_window is not None for layer in description.layers)
    return _layers(description, lambda layer: replace(layer, attention_window=None if has else context // 2))


def _garbage_block(_description: DecoderDescription, matrix: Matrix) -> Matrix:
    """32 weights of one row whose common scale is garbage."""
    changed = matrix.copy()
    codes = np.random.default_rng(SEED).integers(-8, 8, BLOCK)
    changed[0, :BLOCK] = codes * (GARBAGE_SCALE * np.abs(matrix[0]).max() / 8)
    return changed


def _stale_embedding(description: DecoderDescription, weights: WeightSource) -> Faulty:
    """The logits' table is that of an older checkpoint, the embedding's that of the last."""
    untied = replace(description, tied_embedding=False)

    def older(table: Matrix) -> Matrix:
        noise = np.random.default_rng(SEED).standard_normal(table.shape, np.float32)
        return table + np.float32(STALE * table.std()) * noise

    return Faulty(untied, ChangedWeights(weights, untied, {OUTPUT_EMBEDDING: older}))


def model_faults(context: int) -> tuple[ModelFault, ...]:
    """Nine faults of the computation, for a model that is converted for this context."""
    return (
        ModelFault("a layer's scale doubled", _double_scale),
        ModelFault("two heads swapped", _weight("qkv_weight", _swap_heads)),
        ModelFault("rotary off by one", _described(lambda d: _layers(d, _next_frequency))),
        ModelFault(
            "wrong epsilon",
            _described(
                lambda d: replace(d, norm_epsilon=10 * d.norm_epsilon, final_norm_epsilon=10 * d.final_norm_epsilon)
            ),
        ),
        ModelFault("one norm left out", _described(lambda d: replace(d, final_norm=False))),
        ModelFault("window ignored", _described(lambda d: _other_window(d, context))),
        ModelFault("an int4 garbage block", _weight("down_weight", _garbage_block)),
        ModelFault(
            "a transposed projection",
            _weight("attention_output_weight", lambda _, matrix: matrix.T.reshape(matrix.shape)),
        ),
        ModelFault("a stale tied embedding", _stale_embedding),
    )


def file_faults() -> tuple[FileFault, ...]:
    """Three faults of what goes beside the file."""
    return (
        FileFault("stop token wrong", lambda info: info | _stop_at(info["end_token"] + 1)),
        FileFault("a template's newline lost", _lose_newline),
        FileFault("start token lost", _lose_start),
    )


def _stop_at(token: int) -> dict[str, Any]:
    return {"end_token": token, "stop_tokens": [token]}


def _lose_newline(info: dict[str, Any]) -> dict[str, Any]:
    template = info["prompting"]["prompt_template"]
    return info | {"prompting": info["prompting"] | {"prompt_template": template[::-1].replace("\n", "", 1)[::-1]}}


def _lose_start(info: dict[str, Any]) -> dict[str, Any]:
    """A model without a start token of its own loses the first special token of its template."""
    if info["start_token"] is not None:
        return info | {"start_token": None}
    template = info["prompting"]["prompt_template"]
    return info | {"prompting": info["prompting"] | {"prompt_template": template[template.index(">") + 1 :]}}


def change_info(path: Path, fault: FileFault) -> None:
    """Put the fault into a model-info.json."""
    path.write_text(json.dumps(fault.change(json.loads(path.read_text()))))
