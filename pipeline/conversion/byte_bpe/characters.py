"""A text as arrays that say what each of its bytes is: the ground on which split patterns are rules over vectors.

All arrays are [L], one entry a byte; what is no text, as beyond its length, has 0 for a byte and the class PADDING, so
that a text ends before it and another may begin behind it. A byte that is no valid UTF-8 is a character of its own,
neither letter nor number nor white space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipeline.conversion.byte_bpe.tables import class_table
from pipeline.conversion.byte_bpe.unicode_classes import BLOCK

PADDING = -1
# Stands for an invalid byte; its class is OTHER.
REPLACEMENT = 0xFFFD


@dataclass(frozen=True)
class Characters:
    """A text as UTF-8 characters.

    values int32: the bytes. kinds int32: the class of the character that a byte belongs to. lengths int32: bytes of
    the character that begins here. leads bool: a character begins here. valid bool: it is text.
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


def read_characters(values: tf.Tensor, valid: tf.Tensor) -> Characters:
    """Decode UTF-8: values int32 [L], of which those are text where `valid` bool [L] is true."""
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


def kinds_behind(text: Characters) -> tf.Tensor:
    """The class of the character behind the one that begins here, PADDING at the end."""
    behind1, behind2, behind3, behind4 = (shifted(text.kinds, by, PADDING) for by in (1, 2, 3, 4))
    longer = tf.where(text.lengths < 3, behind2, tf.where(text.lengths < 4, behind3, behind4))
    return tf.where(text.lengths < 2, behind1, longer)
