"""Llama 3's split pattern as vector rules, with which Qwen and SmolLM3 split too, but for how many digits go together.

(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+
|\\s+(?!\\S)|\\s+
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipeline.conversion.byte_bpe.characters import PADDING, Characters, as_int, kinds_behind, shifted
from pipeline.conversion.byte_bpe.unicode_classes import CodePointClass

LETTER, NUMBER = CodePointClass.LETTER, CodePointClass.NUMBER
SIGN, SPACE = CodePointClass.OTHER, CodePointClass.SPACE
# Of all letters beside A to Z, only this one equals one of them when case is ignored: the long s, in two bytes.
LONG_S = "\u017f".encode()


def split_like_llama3(digits: int) -> Callable[[Characters], tf.Tensor]:
    """The rule that finds beginnings of pieces, bool [L], with at most so many digits in a piece."""

    def find_beginnings(text: Characters) -> tf.Tensor:
        begins = _letters(text) | _numbers(text, digits) | _signs(text) | _spaces(text)
        inside, behind = _contractions(text)
        return ((begins & tf.logical_not(inside)) | behind) & text.leads

    return find_beginnings


def _before(text: Characters) -> tuple[tf.Tensor, tf.Tensor]:
    """Class and last byte of the character before."""
    return shifted(text.kinds, -1, PADDING), shifted(text.values, -1)


def _is_newline(values: tf.Tensor) -> tf.Tensor:
    return tf.equal(values, ord("\n")) | tf.equal(values, ord("\r"))


def _sign_begins(text: Characters) -> tf.Tensor:
    """Signs that begin a piece: a blank before them is theirs, as is a sign."""
    kind_before, byte_before = _before(text)
    joined = tf.equal(kind_before, SIGN) | tf.equal(byte_before, ord(" "))
    return tf.equal(text.kinds, SIGN) & text.leads & tf.logical_not(joined)


def _letters(text: Characters) -> tf.Tensor:
    """A letter begins a piece unless one letter, a space or a sign that begins a piece is before it."""
    kind_before, byte_before = _before(text)
    sign = _sign_begins(text)
    after_sign = tf.zeros_like(text.values)
    for length in (1, 2, 3, 4):
        after_sign += shifted(as_int(sign & tf.equal(text.lengths, length)), -length)
    space = tf.equal(kind_before, SPACE) & tf.logical_not(_is_newline(byte_before))
    joined = tf.equal(kind_before, LETTER) | space | (after_sign > 0)
    return tf.equal(text.kinds, LETTER) & tf.logical_not(joined)


def _numbers(text: Characters, digits: int) -> tf.Tensor:
    """Every so many digits from the first of a run."""
    kind_before, _ = _before(text)
    number = tf.equal(text.kinds, NUMBER) & text.leads
    count = tf.cumsum(as_int(number))
    first = _least_of_run(number & tf.not_equal(kind_before, NUMBER), count)
    return number & tf.equal(tf.math.floormod(tf.maximum(count - first, 0), digits), 0)


def _signs(text: Characters) -> tf.Tensor:
    return _sign_begins(text)


def _spaces(text: Characters) -> tf.Tensor:
    """White space up to its last line break is one piece, then what is before its last character, then that one."""
    index = np.arange(text.values.shape[0], dtype=np.int32)
    kind_before, byte_before = _before(text)
    space, space_before = tf.equal(text.kinds, SPACE), tf.equal(kind_before, SPACE)
    newline = _is_newline(text.values)
    newline_begins = newline & tf.logical_not(_is_newline(byte_before) & space_before)
    # Line breaks right behind signs belong to them.
    behind_signs = _least_of_run(newline_begins, tf.where(newline_begins & tf.equal(kind_before, SIGN), -1, 0))
    absorbed = newline & (behind_signs < 0)
    folded_before = shifted(as_int(absorbed), -1) > 0
    last_newline = -_least_of_run(space & tf.logical_not(space_before), tf.where(newline, -index, 1))
    first = tf.logical_not(space_before) | folded_before
    behind_newlines = tf.equal(index - 1, last_newline)
    next_kind = kinds_behind(text)
    last = (next_kind >= 0) & tf.not_equal(next_kind, SPACE) & tf.logical_not(newline)
    return space & tf.logical_not(absorbed) & (first | behind_newlines | last)


def _contractions(text: Characters) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes inside of a contraction, and the ones right behind one."""
    values = text.values

    def follows(letters: str) -> tf.Tensor:
        found = tf.ones_like(values) > 0
        for place, letter in enumerate(letters, start=1):
            value = shifted(values, place)
            found &= tf.equal(value, ord(letter)) | tf.equal(value, ord(letter.upper()))
        return found

    begins = _sign_begins(text) & tf.equal(values, ord("'"))
    long_s = tf.equal(shifted(values, 1), LONG_S[0]) & tf.equal(shifted(values, 2), LONG_S[1])
    short = begins & (follows("s") | follows("t") | follows("m") | follows("d"))
    long = begins & (follows("re") | follows("ve") | follows("ll") | long_s)
    inside = shifted(as_int(short | long), -1) + shifted(as_int(long), -2)
    behind = shifted(as_int(short), -2) + shifted(as_int(long), -3)
    return inside > 0, behind > 0


def _least_of_run(begins: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The least value from the last beginning before each place up to the next one."""
    length = values.shape[0]
    run = tf.cumsum(as_int(begins))
    return tf.gather(tf.math.unsorted_segment_min(values, run, length + 1), run)
