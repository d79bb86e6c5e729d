"""The whole way from a prompt's bytes to the answer's in one graph: tokenizer, prefill, decoding, detokenizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipeline.conversion import text_loops
from pipeline.conversion.byte_bpe import detokenizer, encoder
from pipeline.conversion.decoder import Tensors
from pipeline.conversion.text_model import Request, TextModel


@dataclass(frozen=True)
class Answer:
    """text int32 [answer_bytes]: the answer alone as bytes, `text_length` of them. tokens int32 [context]:
    `prompt_tokens` of the prompt, then `new_tokens`. The lengths are scalars."""

    text: tf.Tensor
    text_length: tf.Tensor
    tokens: tf.Tensor
    prompt_tokens: tf.Tensor
    new_tokens: tf.Tensor


def answer(model: TextModel, weights: Tensors, request: Request) -> Answer:
    """Write on from a prompt. To one that is empty or longer than the model takes, or leaves no room in the context,
    there is no answer; `prompt_tokens` then says how many its first `prompt_bytes` would need."""
    tokens, prompt_tokens = _prompt_tokens(model, request.prompt, request.length)
    readable = (prompt_tokens > 0) & (request.length <= model.prompt_bytes)
    room = tf.where(readable, model.context - prompt_tokens, 0)
    limit = tf.maximum(tf.minimum(tf.minimum(request.limit, model.output_tokens), room), 0)
    tokens, new_tokens = text_loops.write(model, weights, request, tokens, prompt_tokens, limit)
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
