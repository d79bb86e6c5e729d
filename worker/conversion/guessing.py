"""Guesses in the graph what a text goes on with; worker/inference/guessing.py says how and why.

Only the likeliest tokens are guessed: of drawn ones each costs a search of its own through the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.conversion.graph import VERIFY_TOKENS
from worker.inference.guessing import FIRST_SHARE, LEAST_SHARE, WEIGHT

GUESSES = VERIFY_TOKENS - 1
# What is left of a share's distance from 1 when so many guesses held.
_LEFT = np.power(1.0 - WEIGHT, np.arange(GUESSES + 1)).astype(np.float32)


@dataclass(frozen=True)
class Guesser:
    """Scalars. match int32: the place behind the latest earlier occurrence of the last two tokens, or (alone int32: 1)
    of the last one; 0 for none. of_pairs and of_alone float32: the share of such guesses that held."""

    match: tf.Tensor
    alone: tf.Tensor
    of_pairs: tf.Tensor
    of_alone: tf.Tensor

    def variables(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """As variables of a loop; `Guesser(*variables)` is the same again."""
        return self.match, self.alone, self.of_pairs, self.of_alone


def start(tokens: tf.Tensor, count: tf.Tensor) -> Guesser:
    """Before anything was guessed behind the first `count` tokens."""
    return Guesser(*_find_match(tokens, count), tf.constant(FIRST_SHARE), tf.constant(FIRST_SHARE))


def after_step(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor) -> Guesser:
    """After a token was written without a guess; `count` tokens there are now. Whether it would have held counts."""
    guessed, written = tf.gather(tokens, guesser.match), tf.gather(tokens, count - 1)
    held = tf.cast(tf.equal(guessed, written), tf.int32)
    known = tf.cast(guesser.match > 0, tf.int32)
    return _counted(guesser, tokens, count, known * held, known * (1 - held))


def after_guesses(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor, held: tf.Tensor) -> Guesser:
    """After guesses of which the first `held` turned out to be right."""
    return _counted(guesser, tokens, count, held, tf.cast(held < GUESSES, tf.int32))


def has_guess(guesser: Guesser) -> tf.Tensor:
    """Whether there is something to guess that is likely enough."""
    share = tf.where(guesser.alone > 0, guesser.of_alone, guesser.of_pairs)
    return (guesser.match > 0) & (share >= LEAST_SHARE)


def guess(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """What may follow the first `count` tokens: int32 [GUESSES]; what repeats itself goes on repeating itself."""
    place = tf.math.floormod(np.arange(GUESSES, dtype=np.int32), tf.maximum(count - guesser.match, 1))
    return tf.gather(tokens, guesser.match + place)


def _counted(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor, held: tf.Tensor, missed: tf.Tensor) -> Guesser:
    """The guesser behind `count` tokens, after guesses of which so many held and so many (0 or 1) did not."""
    kept = tf.gather(tf.constant(_LEFT), held)
    share = tf.where(guesser.alone > 0, guesser.of_alone, guesser.of_pairs)
    share = (1.0 - (1.0 - share) * kept) * tf.gather(tf.constant(_LEFT[:2]), missed)
    return Guesser(
        *_find_match(tokens, count),
        tf.where(guesser.alone > 0, guesser.of_pairs, share),
        tf.where(guesser.alone > 0, share, guesser.of_alone),
    )


def _find_match(tokens: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    behind = np.arange(1, tokens.shape[0] + 1, dtype=np.int32)
    # A prompt that is refused may count more tokens than there is room for.
    end = tf.clip_by_value(count, 2, tokens.shape[0])
    before, last = tf.gather(tokens, end - 2), tf.gather(tokens, end - 1)
    same = tf.equal(tokens, last) & (behind < count)
    alone = tf.reduce_max(tf.where(same, behind, 0))
    pair = tf.reduce_max(tf.where(same[1:] & tf.equal(tokens[:-1], before), behind[1:], 0))
    return tf.where(pair > 0, pair, alone), tf.cast(pair < 1, tf.int32)
