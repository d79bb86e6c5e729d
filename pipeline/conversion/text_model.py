"""A decoder with its tokenizer, and what is asked of it: what the graphs of the I/O modes with text are made of."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from pipeline.conversion.byte_bpe.special_tokens import Spellings
from pipeline.conversion.byte_bpe.splitting import SplitPattern
from pipeline.conversion.byte_bpe.tables import ByteBpeTables
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.sampling import Sampling


@dataclass(frozen=True, eq=False)
class TextModel:
    """A decoder with its tokenizer.

    context: in tokens, prompt and answer together. prompt_bytes: the longest prompt. output_tokens: the longest answer.
    piece: how many tokens of the prompt are read at a time. spellings: of the special tokens that are read in a prompt,
    None where they are text. start_token: put before every prompt, None for none. stop_tokens: an answer ends before
    any of them. first_rows: with how many rows the caches begin at most, before they are doubled.
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
    first_rows: int
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
class Request:
    """prompt int32 [prompt_bytes] with `length` bytes of text; the answer ends after `limit` tokens. state: of the
    random generator. All but the prompt are scalars."""

    prompt: tf.Tensor
    length: tf.Tensor
    limit: tf.Tensor
    sampling: Sampling
    state: tf.Tensor
