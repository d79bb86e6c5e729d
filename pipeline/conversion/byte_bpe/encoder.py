"""From bytes to tokens in the graph: every pass merges the lowest-ranked pairs of all pieces at once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.conversion.byte_bpe.characters import as_int, read_characters, shifted
from pipeline.conversion.byte_bpe.special_tokens import Spellings, find_specials
from pipeline.conversion.byte_bpe.splitting import SplitPattern
from pipeline.conversion.byte_bpe.tables import ByteBpeTables

NO_RANK = np.int32(1 << 30)


def encode(
    tables: ByteBpeTables,
    pattern: SplitPattern,
    values: tf.Tensor,
    count: tf.Tensor,
    spellings: Spellings | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens int32 [L] and how many they are, from bytes int32 [L] of which `count` (a scalar) are text.

    spellings: of the added tokens that are to be found in the text; None where all are text as well.
    """
    capacity = values.shape[0]
    within = np.arange(capacity, dtype=np.int32) < count
    if spellings is None:
        text = read_characters(values, within)
        tokens = tf.where(within, tf.gather(tf.constant(tables.byte_tokens), text.values), 0)
        piece = tf.cumsum(as_int(pattern.find_beginnings(text))) - 1
        piece = tf.where(within, piece, capacity - 1)
        kept = within
    else:
        specials = find_specials(spellings, values, count)
        text = read_characters(values, within & tf.logical_not(specials.covered))
        tokens = tf.where(specials.first, specials.tokens, tf.gather(tf.constant(tables.byte_tokens), text.values))
        piece = tf.cumsum(as_int(pattern.find_beginnings(text) | specials.first)) - 1
        kept = text.valid | specials.first
    if spellings is not None or (tables.byte_tokens < 0).any():
        # A byte that the vocabulary lacks leaves its neighbours side by side.
        kept &= tokens >= 0
        tokens, piece = _move_together(tf.maximum(tokens, 0), piece, kept)
        count = tf.reduce_sum(as_int(kept))

    def goes_on(_tokens: tf.Tensor, _piece: tf.Tensor, _count: tf.Tensor, merged: tf.Tensor) -> tf.Tensor:
        return merged > 0

    def merge(
        tokens: tf.Tensor, piece: tf.Tensor, count: tf.Tensor, _merged: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        return _merge_once(tables, tokens, piece, count)

    whole, scalar = tf.TensorShape([capacity]), tf.TensorShape([])
    tokens, _, count, _ = tf.while_loop(
        goes_on, merge, [tokens, piece, count, tf.constant(1)], shape_invariants=[whole, whole, scalar, scalar]
    )
    return tokens, count


def _merge_once(
    tables: ByteBpeTables, tokens: tf.Tensor, piece: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """One pass; the last result is the number of merges, 0 when all is done."""
    capacity = tokens.shape[0]
    index = np.arange(capacity, dtype=np.int32)
    # Without a bound that the converter sees it would not know that no index is negative.
    piece = tf.maximum(piece, 0)
    ranks = _pair_ranks(tables, tokens, piece, count)
    lowest = tf.gather(tf.math.unsorted_segment_min(ranks, piece, capacity), piece)
    candidates = tf.equal(ranks, lowest) & (ranks < NO_RANK)
    # In a run of candidates that overlap, as in "aaaa", every second one is merged, from the left.
    run = tf.cumsum(as_int(candidates & (shifted(as_int(candidates), -1) < 1)))
    run_start = tf.gather(tf.math.unsorted_segment_min(tf.where(candidates, index, NO_RANK), run, capacity + 1), run)
    even = tf.equal(tf.math.floormod(tf.maximum(index - run_start, 0), 2), 0)
    chosen = candidates & even
    made = tf.gather(tf.constant(tables.merged), tf.minimum(ranks, len(tables.merged) - 1))
    tokens = tf.where(chosen, made, tokens)
    # The right halves go.
    tokens, piece = _move_together(tokens, piece, (shifted(as_int(chosen), -1) < 1) & (index < count))
    merges = tf.reduce_sum(as_int(chosen))
    return tokens, piece, count - merges, merges


def _move_together(tokens: tf.Tensor, piece: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens and pieces without those that are not kept, 0 at the end."""
    capacity = tokens.shape[0]
    # The place behind the end takes what goes.
    place = tf.where(kept, tf.cumsum(as_int(kept)) - 1, capacity)[:, None]
    rows = tf.where(kept[:, None], tf.stack([tokens, piece], 1), 0)
    moved = tf.scatter_nd(place, rows, [capacity + 1, 2])
    return moved[:capacity, 0], moved[:capacity, 1]


def _pair_ranks(tables: ByteBpeTables, tokens: tf.Tensor, piece: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The rank of the pair that begins at each place, NO_RANK where none does."""
    sparse = tables.ranks
    at = tf.gather(tf.constant(sparse.displacement), tokens) + shifted(tokens, 1)
    at = tf.minimum(at, len(sparse.owner) - 1)
    together = tf.equal(piece, shifted(piece, 1, -1)) & (np.arange(tokens.shape[0], dtype=np.int32) < count - 1)
    known = tf.equal(tf.gather(tf.constant(sparse.owner), at), tokens) & together
    return tf.where(known, tf.gather(tf.constant(sparse.value), at), NO_RANK)
