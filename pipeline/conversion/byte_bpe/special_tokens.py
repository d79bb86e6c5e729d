"""Special tokens in a text, found before it is split, as the tokenizers package finds them.

The leftmost goes first, and the longest of those that begin at one place. Their spellings are a trie, whose nodes are
rows of a sparse matrix: all places of a text walk down it at once, a byte a step, and most leave it with the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce

import numpy as np
import tensorflow as tf

from pipeline.conversion.byte_bpe.row_displacement import SparseRows, displace_rows
from pipeline.conversion.byte_bpe.tables import NO_TOKEN, Int32

# The node from which no byte leads on, and the one with which every spelling begins.
NOWHERE, ROOT = 0, 1
# Stands behind the text: no spelling has it.
NO_BYTE = 256


@dataclass(frozen=True, eq=False)
class Spellings:
    """The special tokens as a trie of N nodes.

    steps: the next node by node and byte. tokens int32 [N]: the token that is spelled at a node, else NO_TOKEN.
    longest: bytes of the longest one.
    """

    steps: SparseRows
    tokens: Int32
    longest: int


@dataclass(frozen=True)
class FoundSpecials:
    """first bool [L]: a special token begins here, whose id is in tokens int32 [L]. covered bool [L]: within one."""

    first: tf.Tensor
    tokens: tf.Tensor
    covered: tf.Tensor


def read_spellings(tokenizer_json: bytes, *, special: bool) -> Spellings | None:
    """The added tokens of a `tokenizer.json` that are found in a text; None for none.

    special: whether special tokens are among them; those that are not special always are.
    """
    added = json.loads(tokenizer_json).get("added_tokens", [])
    spelled = {token["content"].encode(): int(token["id"]) for token in added if special or not token["special"]}
    steps: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    for content, token in spelled.items():
        node = reduce(lambda node, byte: steps.setdefault((node, byte), ROOT + 1 + len(steps)), content, ROOT)
        ends[node] = token
    if not ends:
        return None
    count = ROOT + 1 + len(steps)
    tokens = np.full(count, NO_TOKEN, np.int32)
    tokens[list(ends)] = list(ends.values())
    rows = displace_rows([(node, byte, following) for (node, byte), following in steps.items()], count)
    return Spellings(rows, tokens, max(map(len, spelled)))


def find_specials(spellings: Spellings, values: tf.Tensor, count: tf.Tensor) -> FoundSpecials:
    """The special tokens in bytes int32 [L] of which `count` (a scalar) are text."""
    capacity = values.shape[0]
    index = np.arange(capacity, dtype=np.int32)
    lengths, tokens = _longest_at_each_place(spellings, values, count)
    begins = lengths > 0
    last = tf.reduce_max(tf.where(begins, index, -1))

    def goes_on(end: tf.Tensor, _start: tf.Tensor) -> tf.Tensor:
        return end <= last

    def take(end: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.reduce_min(tf.where(begins & (index >= end), index, capacity - 1))
        end = place + tf.reduce_sum(tf.where(tf.equal(index, place), lengths, 0))
        return end, tf.where((index >= place) & (index < end), place, start)

    # Where the token begins that a byte is of, -1 outside of all.
    outside = tf.fill([capacity], -1)
    _, start = tf.while_loop(goes_on, take, [tf.constant(0), outside])
    return FoundSpecials(tf.equal(start, index), tokens, start >= 0)


def _longest_at_each_place(spellings: Spellings, values: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Length in bytes, 0 for none, and id of the longest special token that begins at each place, int32 [L]."""
    capacity = values.shape[0]
    text = tf.where(np.arange(capacity, dtype=np.int32) < count, values, NO_BYTE)
    text = tf.concat([text, np.full(spellings.longest + 1, NO_BYTE, np.int32)], 0)
    rows = spellings.steps

    def goes_on(_step: tf.Tensor, nodes: tf.Tensor, _lengths: tf.Tensor, _tokens: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(nodes) > NOWHERE

    def walk(
        step: tf.Tensor, nodes: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        byte = tf.slice(text, tf.reshape(step, [1]), [capacity])
        at = tf.minimum(tf.gather(tf.constant(rows.displacement), nodes) + byte, len(rows.owner) - 1)
        known = tf.equal(tf.gather(tf.constant(rows.owner), at), nodes)
        nodes = tf.where(known, tf.gather(tf.constant(rows.value), at), NOWHERE)
        token = tf.gather(tf.constant(spellings.tokens), nodes)
        spelled = token >= 0
        return step + 1, nodes, tf.where(spelled, step + 1, lengths), tf.where(spelled, token, tokens)

    nothing = tf.fill([capacity], 0)
    _, _, lengths, tokens = tf.while_loop(
        goes_on, walk, [tf.constant(0), tf.fill([capacity], ROOT), nothing, nothing]
    )  # fmt: skip
    return lengths, tokens
