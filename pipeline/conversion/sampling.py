"""Choosing the next token in the graph: the likeliest, or one of the likeliest by chance.

The generator is Lehmer's with the constants of Park and Miller ("Random number generators: good ones are hard to find",
1988), computed by Schrage's decomposition so that no product leaves 32 bits: TFLite's own random operators take no seed
at run time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

MODULUS = 2**31 - 1
MULTIPLIER = 16807
QUOTIENT, REMAINDER = divmod(MODULUS, MULTIPLIER)
# Seeds that are neighbours give first numbers that are neighbours.
WARM_UP = 4
# More candidates than this are never looked at.
MOST_CANDIDATES = 64
# Weighs nothing against any logit.
EXCLUDED = np.float32(-1e30)


@dataclass(frozen=True)
class Sampling:
    """Scalars. temperature float32: 0 for the likeliest token each time. top_k int32: how many candidates, 0 for
    MOST_CANDIDATES."""

    temperature: tf.Tensor
    top_k: tf.Tensor


def start_random(seed: tf.Tensor) -> tf.Tensor:
    """The generator's state for any int32 seed."""
    state = tf.math.floormod(seed, MODULUS - 1) + 1
    for _ in range(WARM_UP):
        state = next_random(state)
    return state


def next_random(state: tf.Tensor) -> tf.Tensor:
    """The state behind a state, from 1 to MODULUS - 1."""
    high = tf.math.floordiv(state, QUOTIENT)
    low = state - high * QUOTIENT
    value = MULTIPLIER * low - REMAINDER * high
    return tf.where(value > 0, value, value + MODULUS)


def choose_token(logits: tf.Tensor, sampling: Sampling, state: tf.Tensor) -> tf.Tensor:
    """A token, scalar int32, from logits [V] and the generator's state."""
    count = min(MOST_CANDIDATES, logits.shape[0])
    values, tokens = tf.math.top_k(logits, k=count)
    allowed = tf.where(sampling.top_k > 0, sampling.top_k, count)
    values = tf.where(np.arange(count, dtype=np.int32) < allowed, values - values[0], EXCLUDED)
    # The temperature of greedy writing is not used, but it must not divide by zero.
    shares = tf.nn.softmax(values / tf.maximum(sampling.temperature, 1e-4))
    threshold = tf.cast(state, tf.float32) / MODULUS
    passed = tf.reduce_sum(tf.cast(tf.cumsum(shares) < threshold, tf.int32))
    sampled = tf.reshape(tf.gather(tokens, tf.minimum(passed, tf.minimum(allowed, count) - 1)), [])
    likeliest = tf.reshape(tf.argmax(logits, -1, output_type=tf.int32), [])
    return tf.where(sampling.temperature > 0.0, sampled, likeliest)
