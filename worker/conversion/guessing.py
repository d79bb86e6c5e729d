"""Guesses in the graph what a text goes on with; worker/inference/guessing.py says how and why.

Only the likeliest tokens are guessed: of drawn ones each costs a search of its own through the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.conversion.graph import VERIFY_TOKENS
from worker.inference.guessing import FIRST_PAUSE, LONGEST_PAUSE

GUESSES = VERIFY_TOKENS - 1


@dataclass(frozen=True)
class Guesser:
    """Scalars int32. match: the place behind the last two tokens' latest earlier occurrence, 0 for none. waiting: for
    how many tokens nothing is guessed. pause: how long the next wait will be."""

    match: tf.Tensor
    waiting: tf.Tensor
    pause: tf.Tensor

    def variables(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As variables of a loop; `Guesser(*variables)` is the same again."""
        return self.match, self.waiting, self.pause


def start(tokens: tf.Tensor, count: tf.Tensor) -> Guesser:
    """Before anything was guessed behind the first `count` tokens."""
    return Guesser(_find_match(tokens, count), tf.constant(0), tf.constant(FIRST_PAUSE))


def after_step(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor) -> Guesser:
    """After a token was written without a guess; `count` tokens there are now."""
    return Guesser(_find_match(tokens, count), tf.maximum(guesser.waiting - 1, 0), guesser.pause)


def after_guesses(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor, held: tf.Tensor) -> Guesser:
    """After guesses of which the first `held` turned out to be right."""
    right = held > 0
    return Guesser(
        _find_match(tokens, count),
        tf.where(right, 0, guesser.pause),
        tf.where(right, FIRST_PAUSE, tf.minimum(2 * guesser.pause, LONGEST_PAUSE)),
    )


def has_guess(guesser: Guesser) -> tf.Tensor:
    """Whether there is something to guess."""
    return (guesser.match > 0) & (guesser.waiting < 1)


def guess(guesser: Guesser, tokens: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """What may follow the first `count` tokens: int32 [GUESSES]; what repeats itself goes on repeating itself."""
    place = tf.math.floormod(np.arange(GUESSES, dtype=np.int32), tf.maximum(count - guesser.match, 1))
    return tf.gather(tokens, guesser.match + place)


def _find_match(tokens: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    behind = np.arange(2, tokens.shape[0] + 1, dtype=np.int32)
    # A prompt that is refused may count more tokens than there is room for.
    end = tf.clip_by_value(count, 2, tokens.shape[0])
    before, last = tf.gather(tokens, end - 2), tf.gather(tokens, end - 1)
    same = tf.equal(tokens[:-1], before) & tf.equal(tokens[1:], last) & (behind < count)
    return tf.reduce_max(tf.where(same, behind, 0))
