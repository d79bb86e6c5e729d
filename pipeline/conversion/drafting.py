"""Drafts in the graph what a text goes on with; pipeline/inference/drafting.py says how and why.

A draft is made at every call, likely or not: to leave it out would take another loop, which costs more than the draft.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.conversion.graph import VERIFY_TOKENS

GUESSES = VERIFY_TOKENS - 1


def draft(tokens: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """What may follow the first `count` of the tokens: int32 [GUESSES]; what repeats itself goes on repeating itself.

    Where nothing came before it is any tokens, the text's first ones.
    """
    behind = np.arange(1, tokens.shape[0] + 1, dtype=np.int32)
    # A prompt that is refused may count more tokens than there is room for.
    end = tf.clip_by_value(count, 2, tokens.shape[0])
    before, last = tf.gather(tokens, end - 2), tf.gather(tokens, end - 1)
    same = tf.equal(tokens, last) & (behind < count)
    alone = tf.reduce_max(tf.where(same, behind, 0))
    pair = tf.reduce_max(tf.where(same[1:] & tf.equal(tokens[:-1], before), behind[1:], 0))
    match = tf.where(pair > 0, pair, alone)
    place = tf.math.floormod(np.arange(GUESSES, dtype=np.int32), tf.maximum(count - match, 1))
    return tf.gather(tokens, match + place)
