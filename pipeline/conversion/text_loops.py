"""The loops of a graph with text: one reads a prompt in pieces of a fixed length, others write with drafts.

docs/decisions/0005-speculative-decoding.md says how drafts are used, 0014-dynamic-lengths.md how the caches grow with
the text. Weights are read from outside of all loops, so that the binder can put them in afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice

from pipeline.conversion import drafting, graph
from pipeline.conversion.decoder import Earlier, Tensors, project_logits, run_layers
from pipeline.conversion.drafting import GUESSES
from pipeline.conversion.graph import VERIFY_TOKENS
from pipeline.conversion.sampling import choose_token, next_random
from pipeline.conversion.text_model import Request, TextModel

# How many tokens are written before their caches join the long ones.
RECENT_TOKENS = 16

Caches = dict[str, tf.Tensor]


@dataclass(frozen=True)
class _Writing:
    """Where the writing is. written: tokens so far; ended: 1 behind the end token; state: of the random generator;
    tokens int32 [cache_length]; recent: the caches of the last tokens. All but the tokens and the caches are scalars.
    """

    written: tf.Tensor
    ended: tf.Tensor
    state: tf.Tensor
    tokens: tf.Tensor
    recent: dict[str, tf.Tensor]

    def goes_on(self, limit: tf.Tensor) -> tf.Tensor:
        """Whether there is more to write."""
        return (self.written < limit) & (self.ended < 1)

    def variables(self) -> tuple[tf.Tensor, ...]:
        """As variables of a loop."""
        return (self.written, self.ended, self.state, self.tokens, *self.recent.values())

    def with_variables(self, values: tuple[tf.Tensor, ...]) -> _Writing:
        """The same with other values of the loop's variables."""
        written, ended, state, tokens, *recent = values
        return _Writing(written, ended, state, tokens, dict(zip(self.recent, recent, strict=True)))


@dataclass(frozen=True)
class _Text:
    """read: how many tokens of the prompt are in the caches; begin: the row that the first of the recent ones belongs
    to; both scalars. caches: the long ones."""

    read: tf.Tensor
    begin: tf.Tensor
    caches: Caches
    now: _Writing

    def variables(self) -> tuple[tf.Tensor, ...]:
        """As variables of a loop."""
        return (self.read, self.begin, *self.caches.values(), *self.now.variables())

    def shapes(self) -> tuple[tf.TensorShape, ...]:
        """Their shapes where the rows of the long caches change."""
        wider = [tf.TensorShape([*cache.shape[:2], None, cache.shape[3]]) for cache in self.caches.values()]
        return (*(value.shape for value in (self.read, self.begin)), *wider, *(v.shape for v in self.now.variables()))

    def with_variables(self, values: tuple[tf.Tensor, ...]) -> _Text:
        """The same with other values of the loop's variables."""
        read, begin, *rest = values
        caches = dict(zip(self.caches, rest[: len(self.caches)], strict=True))
        return _Text(read, begin, caches, self.now.with_variables(tuple(rest[len(caches) :])))


def write(
    model: TextModel, weights: Tensors, request: Request, tokens: tf.Tensor, prompt_tokens: tf.Tensor, limit: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The tokens int32 [cache_length] with the answer behind the prompt, and the answer's number of tokens, the end
    token not among them.

    prompt_tokens, limit: of the answer; scalars.
    """
    names = graph.cache_names(model.description)
    # A piece must fit into them from the first on.
    rows, doublings = growth_of(model.cache_length, max(model.first_rows, 2 * model.piece))
    short = min(RECENT_TOKENS + GUESSES, rows)

    def empty(count: int) -> Caches:
        return {name: tf.zeros(graph.cache_shape(model.description, count)) for name in names}

    now = _Writing(tf.constant(0), tf.constant(0), request.state, tokens, empty(short))
    # The loop doubles them at its first round too.
    first = _Text(tf.constant(0), prompt_tokens - 1, empty(rows // 2 if doublings else rows), now)

    def go_on(text: _Text) -> _Text:
        return _fill_caches(model, weights, request, text, prompt_tokens, limit)

    last = _grow(first, limit, go_on) if doublings else go_on(first)
    return last.now.tokens, last.now.written


def growth_of(rows: int, first: int) -> tuple[int, int]:
    """How many rows caches begin with, `first` at most, and how often they are doubled until they hold `rows`.

    The first number is even where they are doubled, since the loop begins with half of it.
    """
    doublings = max(0, math.ceil(math.log2(rows / first)))
    return (2 * -(-rows // (2 << doublings)) if doublings else rows), doublings


def _grow(first: _Text, limit: tf.Tensor, go_on: Callable[[_Text], _Text]) -> _Text:
    """Double the caches, go on as far as they have room, and double them again.

    A round that is handed larger tensors makes TFLite allocate its body again, and XNNPACK reshape its graph without
    packing the weights again.
    """

    def goes_on(*values: tf.Tensor) -> tf.Tensor:
        return first.with_variables(values).now.goes_on(limit)

    def double(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        text = first.with_variables(values)
        # Nothing looks at what lies behind the filled rows.
        wider = {name: tf.concat([cache, cache], 2) for name, cache in text.caches.items()}
        return go_on(replace(text, caches=wider)).variables()

    return first.with_variables(tf.while_loop(goes_on, double, first.variables(), shape_invariants=first.shapes()))


def _fill_caches(
    model: TextModel, weights: Tensors, request: Request, text: _Text, prompt_tokens: tf.Tensor, limit: tf.Tensor
) -> _Text:
    """Read and write on as far as the caches have room.

    A loop copies what it changes at each round. So of the loops that write the inner one changes short caches of the
    last tokens and only reads the long ones; the outer one moves what is in the short caches to the long ones.
    """
    last_read = prompt_tokens - 1
    # The last token of the prompt is read with the drafts behind it.
    count = tf.where(limit > 0, last_read, 0)
    read, caches = _read_pieces(model, weights, text.now.tokens, count, text.read, text.caches)
    rows = _row_count(next(iter(caches.values())))
    first = text.now
    places = next(iter(first.recent.values())).shape[2]

    def begins(_begin: tf.Tensor, *variables: tf.Tensor) -> tf.Tensor:
        now = first.with_variables(variables[len(caches) :])
        return now.goes_on(limit) & (read >= count) & (last_read + now.written <= rows)

    def write_round(begin: tf.Tensor, *variables: tf.Tensor) -> tuple[tf.Tensor, ...]:
        now = first.with_variables(variables[len(caches) :])
        named = zip(caches, variables[: len(caches)], strict=True)
        moved = {name: _move(now.recent[name], cache, begin) for name, cache in named}
        earlier = Earlier(moved, last_read + now.written)

        def fits(*values: tf.Tensor) -> tf.Tensor:
            now = first.with_variables(values)
            return now.goes_on(limit) & (last_read + now.written - earlier.count <= places - VERIFY_TOKENS)

        def write_some(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
            now = first.with_variables(values)
            return _write_some(model, weights, request, now, prompt_tokens, limit, earlier).variables()

        return (earlier.count, *moved.values(), *tf.while_loop(fits, write_some, now.variables()))

    begin, *rest = tf.while_loop(begins, write_round, (text.begin, *caches.values(), *first.variables()))
    written = dict(zip(caches, rest[: len(caches)], strict=True))
    return _Text(read, begin, written, first.with_variables(tuple(rest[len(caches) :])))


def _read_pieces(
    model: TextModel, weights: Tensors, tokens: tf.Tensor, count: tf.Tensor, start: tf.Tensor, caches: Caches
) -> tuple[tf.Tensor, Caches]:
    """Read the tokens from `start` on up to the first `count`, as far as the caches have room; where it ended."""
    rows = _row_count(next(iter(caches.values())))

    def goes_on(start: tf.Tensor, *_caches: tf.Tensor) -> tf.Tensor:
        return (start < count) & (start + model.piece <= rows)

    def read_piece(start: tf.Tensor, *caches: tf.Tensor) -> tuple[tf.Tensor, ...]:
        piece = tf.reshape(tf.slice(tokens, tf.reshape(start, [1]), [model.piece]), [1, model.piece])
        given = dict(zip(names, caches, strict=True))
        _, written = run_layers(model.description, weights, piece, _positions(model, start, model.piece), given)
        return (start + model.piece, *(written[name] for name in names))

    names = list(caches)
    read, *written = tf.while_loop(goes_on, read_piece, (start, *caches.values()))
    return read, dict(zip(names, written, strict=True))


def _write_some(
    model: TextModel,
    weights: Tensors,
    request: Request,
    now: _Writing,
    prompt_tokens: tf.Tensor,
    limit: tf.Tensor,
    earlier: Earlier,
) -> _Writing:
    """Read the last token and drafts behind it in one call; one token or more are then written."""
    count = prompt_tokens + now.written
    drafts = drafting.draft(now.tokens, count)
    read = tf.concat([tf.reshape(tf.gather(now.tokens, count - 1), [1]), drafts], 0)[None]
    positions = _positions(model, count - 1, VERIFY_TOKENS)
    hidden, kept = run_layers(model.description, weights, read, positions, now.recent, earlier)
    logits = project_logits(model.description, weights, hidden)
    state = next_random(now.state)
    chosen = tf.reshape(choose_token(logits[0], request.sampling, state), [1])
    choices = tf.concat([chosen, tf.argmax(logits[1:], -1, output_type=tf.int32)], 0)
    place = np.arange(VERIFY_TOKENS, dtype=np.int32)
    held = tf.reduce_min(tf.where(tf.equal(choices[:-1], drafts), GUESSES, place[:-1]))
    # Of drawn tokens each would cost a search of its own through the vocabulary.
    held = tf.where(request.sampling.temperature > 0.0, 0, held)
    taken = tf.minimum(held + 1, limit - now.written)
    ends = tf.reduce_any(tf.equal(choices[:, None], np.array(model.stop_tokens, np.int32)[None]), 1)
    first_end = tf.reduce_min(tf.where(ends, place, VERIFY_TOKENS))
    ended = tf.cast(first_end < taken, tf.int32)
    written = now.written + tf.minimum(taken, first_end)
    index = np.arange(model.cache_length, dtype=np.int32)
    fresh = tf.gather(choices, tf.clip_by_value(index - count, 0, GUESSES))
    tokens = tf.where((index >= count) & (index < prompt_tokens + written), fresh, now.tokens)
    return _Writing(written, ended, state, tokens, {name: kept[name] for name in now.recent})


def _move(recent: tf.Tensor, cache: tf.Tensor, begin: tf.Tensor) -> tf.Tensor:
    """The cache with the recent rows from place `begin` on, as many of them as there is room for."""
    places = recent.shape[2]
    # A write beyond the end would be moved: it is made to end there at most, over what stands there already.
    start = tf.minimum(begin, _row_count(cache) - places)
    at = tf.stack([0, 0, start, 0])
    row = start + np.arange(places, dtype=np.int32)
    fresh = tf.gather(recent, tf.maximum(row - begin, 0), axis=2)
    rows = tf.where((row < begin)[None, None, :, None], tf.slice(cache, at, recent.shape), fresh)
    return dynamic_update_slice(cache, rows, at)


def _row_count(cache: tf.Tensor) -> tf.Tensor | int:
    return cache.shape[2] or tf.shape(cache)[2]


def _positions(model: TextModel, start: tf.Tensor, count: int) -> tf.Tensor:
    # What is padded may lie beyond the model's last position, of which there is no embedding.
    return tf.minimum(start + np.arange(count, dtype=np.int32), model.context - 1)
