"""The whole way from a prompt's bytes to the answer's in one graph: tokenizer, prefill, loop of decoding, detokenizer.

Two loops share the weights: one reads the prompt in pieces of a fixed length, one writes, with drafts behind each
token (docs/decisions/0005-drafted-tokens.md). Weights are read from outside of both, so that the binder can put them
in afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import dynamic_update_slice

from pipeline.conversion import drafting, graph
from pipeline.conversion.byte_bpe import detokenizer, encoder
from pipeline.conversion.byte_bpe.special_tokens import Spellings
from pipeline.conversion.byte_bpe.splitting import SplitPattern
from pipeline.conversion.byte_bpe.tables import ByteBpeTables
from pipeline.conversion.decoder import Earlier, Tensors, project_logits, run_layers
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.drafting import GUESSES
from pipeline.conversion.graph import VERIFY_TOKENS
from pipeline.conversion.sampling import Sampling, choose_token, next_random

# How many tokens are written before their caches join the long ones.
RECENT_TOKENS = 16


@dataclass(frozen=True, eq=False)
class TextModel:
    """A decoder with its tokenizer.

    context: in tokens, prompt and answer together. prompt_bytes: the longest prompt. output_tokens: the longest answer.
    piece: how many tokens of the prompt are read at a time. spellings: of the special tokens that are read in a prompt,
    None where they are text. start_token: put before every prompt, None for none. stop_tokens: an answer ends before
    any of them.
    """

    description: DecoderDescription
    tables: ByteBpeTables
    pattern: SplitPattern
    context: int
    prompt_bytes: int
    output_tokens: int
    piece: int
    start_token: int | None
    stop_tokens: tuple[int, ...]
    spellings: Spellings | None = None

    @property
    def cache_length(self) -> int:
        """The context, rounded up to whole pieces: a write beyond the end would else be moved."""
        return -(-self.context // self.piece) * self.piece

    @property
    def answer_bytes(self) -> int:
        """What the longest answer can take."""
        return self.output_tokens * max(1, int(self.tables.token_lengths.max()))


@dataclass(frozen=True)
class Answer:
    """text int32 [answer_bytes]: the answer alone as bytes, `text_length` of them. tokens int32 [context]:
    `prompt_tokens` of the prompt, then `new_tokens`. The lengths are scalars."""

    text: tf.Tensor
    text_length: tf.Tensor
    tokens: tf.Tensor
    prompt_tokens: tf.Tensor
    new_tokens: tf.Tensor


@dataclass(frozen=True)
class Request:
    """prompt int32 [prompt_bytes] with `length` bytes of text; the answer ends after `limit` tokens. state: of the
    random generator. All but the prompt are scalars."""

    prompt: tf.Tensor
    length: tf.Tensor
    limit: tf.Tensor
    sampling: Sampling
    state: tf.Tensor


def answer(model: TextModel, weights: Tensors, request: Request) -> Answer:
    """Write on from a prompt. To one that is empty or longer than the model takes, or leaves no room in the context,
    there is no answer; `prompt_tokens` then says how many its first `prompt_bytes` would need."""
    tokens, prompt_tokens = _prompt_tokens(model, request.prompt, request.length)
    readable = (prompt_tokens > 0) & (request.length <= model.prompt_bytes)
    room = tf.where(readable, model.context - prompt_tokens, 0)
    limit = tf.maximum(tf.minimum(tf.minimum(request.limit, model.output_tokens), room), 0)
    caches = _read_prompt(model, weights, tokens, tf.where(limit > 0, prompt_tokens - 1, 0))
    tokens, new_tokens = _write(model, weights, request, tokens, prompt_tokens, limit, caches)
    index = np.arange(model.output_tokens, dtype=np.int32)
    written = tf.gather(tokens, tf.minimum(index + prompt_tokens, model.context - 1))
    text, text_length = detokenizer.decode(model.tables, written, new_tokens, model.answer_bytes)
    return Answer(text, text_length, tokens[: model.context], prompt_tokens, new_tokens)


def join(model: TextModel, request: Request, found: Answer) -> tuple[tf.Tensor, tf.Tensor]:
    """Prompt and answer as bytes int32 [prompt_bytes + answer_bytes], 0 beyond the text, and how many they are."""
    length = tf.clip_by_value(request.length, 0, model.prompt_bytes)
    place = np.arange(model.prompt_bytes + model.answer_bytes, dtype=np.int32)
    behind = tf.gather(found.text, tf.clip_by_value(place - length, 0, model.answer_bytes - 1))
    before = tf.gather(request.prompt, np.minimum(place, model.prompt_bytes - 1))
    text_length = length + found.text_length
    return tf.where(place < length, before, tf.where(place < text_length, behind, 0)), text_length


def tokenize(model: TextModel, prompt: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The prompt's own tokens int32 [prompt_bytes], without a start token, and how many they are."""
    count = tf.clip_by_value(length, 0, model.prompt_bytes)
    return encoder.encode(model.tables, model.pattern, prompt, count, model.spellings)


def _prompt_tokens(model: TextModel, prompt: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens int32 [cache_length] with the start token, and how many they would be without a limit."""
    tokens, count = tokenize(model, prompt, length)
    if model.start_token is not None:
        tokens, count = tf.concat([np.array([model.start_token], np.int32), tokens], 0), count + 1
    missing = model.cache_length - tokens.shape[0]
    tokens = tf.concat([tokens, np.zeros(missing, np.int32)], 0) if missing > 0 else tokens[: model.cache_length]
    return tokens, count


def _positions(model: TextModel, start: tf.Tensor, count: int) -> tf.Tensor:
    # What is padded may lie beyond the model's last position, of which there is no embedding.
    return tf.minimum(start + np.arange(count, dtype=np.int32), model.context - 1)


def _read_prompt(model: TextModel, weights: Tensors, tokens: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
    """The caches with the first `count` tokens in them."""
    names = graph.cache_names(model.description)
    shape = graph.cache_shape(model.description, model.cache_length)

    def goes_on(start: tf.Tensor, *_caches: tf.Tensor) -> tf.Tensor:
        return start < count

    def read_piece(start: tf.Tensor, *caches: tf.Tensor) -> tuple[tf.Tensor, ...]:
        piece = tf.reshape(tf.slice(tokens, tf.reshape(start, [1]), [model.piece]), [1, model.piece])
        given = dict(zip(names, caches, strict=True))
        _, written = run_layers(model.description, weights, piece, _positions(model, start, model.piece), given)
        return (start + model.piece, *(written[name] for name in names))

    _, *caches = tf.while_loop(goes_on, read_piece, (tf.constant(0), *(tf.zeros(shape) for _ in names)))
    return dict(zip(names, caches, strict=True))


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

    def variables(self) -> tuple[tf.Tensor, ...]:
        """As variables of a loop."""
        return (self.written, self.ended, self.state, self.tokens, *self.recent.values())

    def with_variables(self, values: tuple[tf.Tensor, ...]) -> _Writing:
        """The same with other values of the loop's variables."""
        written, ended, state, tokens, *recent = values
        return _Writing(written, ended, state, tokens, dict(zip(self.recent, recent, strict=True)))


def _write(
    model: TextModel,
    weights: Tensors,
    request: Request,
    tokens: tf.Tensor,
    prompt_tokens: tf.Tensor,
    limit: tf.Tensor,
    caches: dict[str, tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """The tokens with the answer behind the prompt, and the answer's number of tokens, the end token not among them.

    A loop copies what it changes at each round. So the inner loop changes short caches of the last tokens and only
    reads the long ones; the outer one moves what is in the short caches to the long ones.
    """
    places = min(RECENT_TOKENS + GUESSES, model.cache_length)
    shape = graph.cache_shape(model.description, places)
    recent = {name: tf.zeros(shape) for name in caches}
    first = _Writing(tf.constant(0), tf.constant(0), request.state, tokens, recent)
    last_read = prompt_tokens - 1

    def goes_on(now: _Writing) -> tf.Tensor:
        return (now.written < limit) & (now.ended < 1)

    def write_round(begin: tf.Tensor, *variables: tf.Tensor) -> tuple[tf.Tensor, ...]:
        now = first.with_variables(variables[len(caches) :])
        named = zip(caches, variables[: len(caches)], strict=True)
        moved = {name: _move(now.recent[name], cache, begin) for name, cache in named}
        earlier = Earlier(moved, last_read + now.written)

        def fits(*values: tf.Tensor) -> tf.Tensor:
            now = first.with_variables(values)
            return goes_on(now) & (last_read + now.written - earlier.count <= places - VERIFY_TOKENS)

        def write_some(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
            now = first.with_variables(values)
            return _write_some(model, weights, request, now, prompt_tokens, limit, earlier).variables()

        return (earlier.count, *moved.values(), *tf.while_loop(fits, write_some, now.variables()))

    found = tf.while_loop(
        lambda _begin, *variables: goes_on(first.with_variables(variables[len(caches) :])),
        write_round,
        (last_read, *caches.values(), *first.variables()),
    )
    last = first.with_variables(found[1 + len(caches) :])
    return last.tokens, last.written


def _move(recent: tf.Tensor, cache: tf.Tensor, begin: tf.Tensor) -> tf.Tensor:
    """The cache with the recent rows from place `begin` on, as many of them as there is room for."""
    places = recent.shape[2]
    # A write beyond the end would be moved: it is made to end there at most, over what stands there already.
    start = tf.minimum(begin, cache.shape[2] - places)
    at = tf.stack([0, 0, start, 0])
    row = start + np.arange(places, dtype=np.int32)
    fresh = tf.gather(recent, tf.maximum(row - begin, 0), axis=2)
    rows = tf.where((row < begin)[None, None, :, None], tf.slice(cache, at, recent.shape), fresh)
    return dynamic_update_slice(cache, rows, at)


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
