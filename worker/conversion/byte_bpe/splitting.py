"""Where the pieces begin into which a tokenizer splits a text before it merges: regular expressions as vector rules.

All arrays are [L], one entry a byte; beyond the text's length the bytes are 0 and the class is PADDING. A byte that is
no valid UTF-8 is a character of its own, neither letter nor number nor white space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farm.errors import UnsupportedArchitecture
from worker.conversion.byte_bpe.tables import class_table
from worker.conversion.byte_bpe.unicode_classes import BLOCK, CodePointClass

PADDING = -1
# Stands for an invalid byte; its class is OTHER.
REPLACEMENT = 0xFFFD


@dataclass(frozen=True)
class Characters:
    """A text as UTF-8 characters.

    values int32: the bytes. kinds int32: the class of the character that a byte belongs to. lengths int32: bytes of
    the character that begins here. leads bool: a character begins here. valid bool: within the text.
    """

    values: tf.Tensor
    kinds: tf.Tensor
    lengths: tf.Tensor
    leads: tf.Tensor
    valid: tf.Tensor


def shifted(x: tf.Tensor, by: int, fill: int = 0) -> tf.Tensor:
    """y[i] = x[i + by], `fill` where that lies outside."""
    length = x.shape[0]
    if by == 0:
        return x
    filling = np.full(min(abs(by), length), fill, np.int32)
    return tf.concat([x[by:], filling] if by > 0 else [filling, x[: length + by]], 0)


def as_int(x: tf.Tensor) -> tf.Tensor:
    """Truth as 0 and 1."""
    return tf.cast(x, tf.int32)


def read_characters(values: tf.Tensor, count: tf.Tensor) -> Characters:
    """Decode UTF-8: values int32 [L] of which `count` (a scalar) are text."""
    valid = np.arange(values.shape[0], dtype=np.int32) < count
    first = tf.where(valid, values, 0)
    second, third, fourth = (shifted(first, by) for by in (1, 2, 3))
    follows2, follows3, follows4 = ((byte >= 0x80) & (byte < 0xC0) for byte in (second, third, fourth))
    of_two = (first - 0xC0) * 64 + (second - 0x80)
    of_three = (first - 0xE0) * 4096 + (second - 0x80) * 64 + (third - 0x80)
    of_four = (first - 0xF0) * 262144 + (second - 0x80) * 4096 + (third - 0x80) * 64 + (fourth - 0x80)
    # Overlong forms, surrogates and what lies beyond the last code point are invalid.
    is_two = (first >= 0xC2) & (first < 0xE0) & follows2
    is_three = (first >= 0xE0) & (first < 0xF0) & follows2 & follows3
    is_three &= (of_three >= 0x800) & ((of_three < 0xD800) | (of_three >= 0xE000))
    is_four = (first >= 0xF0) & (first < 0xF5) & follows2 & follows3 & follows4
    is_four &= (of_four >= 0x10000) & (of_four < 0x110000)
    longer = tf.where(is_three, of_three, tf.where(is_four, of_four, REPLACEMENT))
    code_points = tf.where(first < 0x80, first, tf.where(is_two, of_two, longer))
    lengths = tf.where(is_two, 2, tf.where(is_three, 3, tf.where(is_four, 4, 1)))
    table = class_table()
    block = tf.gather(tf.constant(table.block_of), tf.math.floordiv(code_points, BLOCK))
    within = tf.math.floormod(code_points, BLOCK)
    kinds = as_int(tf.gather(tf.constant(table.blocks), block * BLOCK + within))
    # A byte inside a character takes the class from its first byte.
    inside1, inside2, inside3 = (shifted(as_int(lengths > by), -by) > 0 for by in (1, 2, 3))
    inherited = tf.where(inside2, shifted(kinds, -2), tf.where(inside3, shifted(kinds, -3), kinds))
    kinds = tf.where(inside1, shifted(kinds, -1), inherited)
    leads = tf.logical_not(inside1 | inside2 | inside3) & valid
    return Characters(first, tf.where(valid, kinds, PADDING), lengths, leads, valid)


def split_like_gpt2(text: Characters) -> tf.Tensor:
    """Beginnings of pieces, bool [L], by GPT-2's pattern:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    """
    space = CodePointClass.SPACE
    kinds, values = text.kinds, text.values
    kind_before, byte_before = shifted(kinds, -1, PADDING), shifted(values, -1)
    is_space, space_before = tf.equal(kinds, space), tf.equal(kind_before, space)
    # A blank joins the letters, numbers or signs behind it.
    blank_before = tf.equal(byte_before, ord(" "))
    begins_word = tf.logical_not(is_space) & tf.not_equal(kinds, kind_before) & tf.logical_not(blank_before)
    # A run of white space gives its last character to what follows: as the word's blank, or as a piece of its own.
    next_kind = tf.where(
        text.lengths < 2,
        shifted(kinds, 1, PADDING),
        tf.where(
            text.lengths < 3,
            shifted(kinds, 2, PADDING),
            tf.where(text.lengths < 4, shifted(kinds, 3, PADDING), shifted(kinds, 4, PADDING)),
        ),
    )
    last_of_run = (next_kind >= 0) & tf.not_equal(next_kind, space)
    begins_space = is_space & (tf.logical_not(space_before) | last_of_run)
    begins = (begins_word | begins_space) & text.leads
    short, long = _contractions(text, kind_before, space_before, blank_before)
    # The letters belong to the apostrophe, and a new piece begins behind them.
    begins &= tf.logical_not(shifted(as_int(short | long), -1) > 0)
    behind = (shifted(as_int(short), -2) + shifted(as_int(long), -3)) > 0
    return begins | (behind & text.leads)


def _contractions(
    text: Characters, kind_before: tf.Tensor, space_before: tf.Tensor, blank_before: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apostrophes of contractions with one letter and with two, where one can begin a piece at all."""
    values = text.values
    second, third = shifted(values, 1), shifted(values, 2)

    def spells(letters: str) -> tf.Tensor:
        first = tf.equal(second, ord(letters[0]))
        return first if len(letters) == 1 else first & tf.equal(third, ord(letters[1]))

    # Behind a sign the apostrophe belongs to the sign's piece, and behind a blank to the blank's.
    word_before = tf.equal(kind_before, CodePointClass.LETTER) | tf.equal(kind_before, CodePointClass.NUMBER)
    can_begin = tf.equal(kind_before, PADDING) | word_before | (space_before & tf.logical_not(blank_before))
    apostrophe = tf.equal(values, ord("'")) & can_begin
    short = spells("s") | spells("t") | spells("m") | spells("d")
    return apostrophe & short, apostrophe & (spells("re") | spells("ve") | spells("ll"))


@dataclass(frozen=True)
class SplitPattern:
    """A way of splitting: a name, and the rule that finds the beginnings of pieces."""

    name: str
    find_beginnings: Callable[[Characters], tf.Tensor]


GPT2 = "gpt2"
# Another model's pattern is another entry: a rule over classes, bytes and their neighbours.
PATTERNS: dict[str, SplitPattern] = {GPT2: SplitPattern(GPT2, split_like_gpt2)}


def find_pattern(name: str) -> SplitPattern:
    """The pattern of that name; UnsupportedArchitecture when there is no rule for it."""
    if name not in PATTERNS:
        raise UnsupportedArchitecture(
            f"The graph cannot split text by the pattern {name} yet; choose the tokens lane, or a model with one of"
            f" these patterns: {', '.join(PATTERNS)}."
        )
    return PATTERNS[name]
