"""BLOOM's split pattern as a vector rule: ` ?[^(\\s|[.,!?…。，、।۔،])]+`, and what lies between two matches."""  # noqa: RUF002

from __future__ import annotations

import tensorflow as tf

from pipeline.conversion.byte_bpe.characters import Characters, as_int, shifted
from pipeline.conversion.byte_bpe.unicode_classes import CodePointClass

# Those that end a word, beside white space.
SIGNS = "(|.,!?)…。，、।۔،"


def split_like_bloom(text: Characters) -> tf.Tensor:
    """Beginnings of pieces, bool [L]: words with the blank before them, and runs of what ends words."""
    between = _is_between(text)
    word = text.valid & tf.logical_not(between)
    word_before = shifted(as_int(word), -1) > 0
    between_before = shifted(as_int(between), -1) > 0
    blank = tf.equal(text.values, ord(" "))
    blank_before = tf.equal(shifted(text.values, -1), ord(" "))
    # A blank is one byte, so that what follows it begins at the next one.
    takes_blank = blank & (shifted(as_int(word), 1) > 0)
    begins_word = word & tf.logical_not(word_before) & tf.logical_not(blank_before)
    begins_between = between & (tf.logical_not(between_before) | takes_blank)
    return (begins_word | begins_between) & text.leads


def _is_between(text: Characters) -> tf.Tensor:
    """The bytes of white space and of signs that end a word."""
    found = tf.zeros_like(text.values)
    for sign in SIGNS:
        spelled = text.leads
        for place, byte in enumerate(sign.encode()):
            spelled &= tf.equal(shifted(text.values, place), byte)
        for place in range(len(sign.encode())):
            found += shifted(as_int(spelled), -place)
    return text.valid & ((found > 0) | tf.equal(text.kinds, CodePointClass.SPACE))
