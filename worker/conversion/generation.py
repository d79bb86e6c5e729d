"""The whole way from a prompt's bytes to the answer's in one graph: tokenizer, prefill, loop of decoding, detokenizer.

Two loops share the weights: one reads the prompt in pieces of a fixed length, one writes token after token. Weights are
read from outside of both, so that the binder can put them in afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.conversion import graph
from worker.conversion.byte_bpe import detokenizer, encoder
from worker.conversion.byte_bpe.splitting import SplitPattern
from worker.conversion.byte_bpe.tables import ByteBpeTables
from worker.conversion.decoder import Tensors, project_logits, run_layers
from worker.conversion.description import DecoderDescription
from worker.conversion.sampling import Sampling, choose_token, next_random


@dataclass(frozen=True, eq=False)
class TextModel:
    """A decoder with its tokenizer.

    context: in tokens, prompt and answer together. prompt_bytes: the longest prompt. output_tokens: the longest answer.
    piece: how many tokens of the prompt are read at a time. start_token: put before every prompt, None for none.
    """

    description: DecoderDescription
    tables: ByteBpeTables
    pattern: SplitPattern
    context: int
    prompt_bytes: int
    output_tokens: int
    piece: int
    start_token: int | None
    end_token: int

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
    return encoder.encode(model.tables, model.pattern, prompt, tf.clip_by_value(length, 0, model.prompt_bytes))


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


def _write(
    model: TextModel,
    weights: Tensors,
    request: Request,
    tokens: tf.Tensor,
    prompt_tokens: tf.Tensor,
    limit: tf.Tensor,
    caches: dict[str, tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """The tokens with the answer behind the prompt, and the answer's number of tokens, the end token not among them."""
    names = list(caches)
    index = np.arange(model.cache_length, dtype=np.int32)

    def goes_on(
        written: tf.Tensor, ended: tf.Tensor, _state: tf.Tensor, _tokens: tf.Tensor, *_caches: tf.Tensor
    ) -> tf.Tensor:
        return (written < limit) & (ended < 1)

    def write_one(
        written: tf.Tensor, _ended: tf.Tensor, state: tf.Tensor, tokens: tf.Tensor, *caches: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        position = tf.reshape(prompt_tokens + written - 1, [1])
        last = tf.reshape(tf.gather(tokens, position), [1, 1])
        given = dict(zip(names, caches, strict=True))
        hidden, kept = run_layers(model.description, weights, last, position, given)
        logits = tf.reshape(project_logits(model.description, weights, hidden), [model.description.vocabulary_size])
        state = next_random(state)
        token = choose_token(logits, request.sampling, state)
        ended = tf.cast(tf.equal(token, model.end_token), tf.int32)
        here = tf.equal(index, prompt_tokens + written) & (ended < 1)
        return (
            written + 1 - ended,
            ended,
            state,
            tf.where(here, token, tokens),
            *(kept[name] for name in names),
        )

    start = (tf.constant(0), tf.constant(0), request.state, tokens, *caches.values())
    new_tokens, _, _, tokens, *_ = tf.while_loop(goes_on, write_one, start)
    return tokens, new_tokens
