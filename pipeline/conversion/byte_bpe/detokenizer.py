"""From tokens to bytes in the graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.conversion.byte_bpe.tables import ByteBpeTables


def decode(tables: ByteBpeTables, tokens: tf.Tensor, count: tf.Tensor, capacity: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes int32 [capacity], 0 beyond the text, and how many they are; of tokens int32 [N] the first `count`.

    A text that is longer than the capacity is cut.
    """
    total = tokens.shape[0]
    lengths = tf.gather(tf.constant(tables.token_lengths), tokens)
    lengths = tf.where(np.arange(total, dtype=np.int32) < count, lengths, 0)
    ends = tf.cumsum(lengths)
    size = tf.minimum(ends[total - 1], capacity)
    # How many tokens have ended at or before each byte is the number of the token that it comes from.
    marks = tf.scatter_nd(tf.minimum(ends, capacity)[:, None], tf.ones([total], tf.int32), [capacity + 1])
    source = tf.minimum(tf.cumsum(marks[:capacity]), total - 1)
    places = np.arange(capacity, dtype=np.int32)
    begin = tf.gather(tf.constant(tables.token_offsets), tokens) - (ends - lengths)
    live = places < size
    at = tf.where(live, tf.gather(begin, source) + places, 0)
    values = tf.cast(tf.gather(tf.constant(tables.token_bytes), at), tf.int32)
    return tf.where(live, values, 0), size
