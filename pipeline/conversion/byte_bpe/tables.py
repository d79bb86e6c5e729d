"""A byte-level BPE as arrays that a graph can look things up in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from farm.errors import ModelDamaged
from pipeline.conversion.byte_bpe import unicode_classes
from pipeline.conversion.byte_bpe.row_displacement import SparseRows, displace_rows
from pipeline.tokenizers import byte_level

Int32 = NDArray[np.int32]
NO_TOKEN = -1
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ByteBpeTables:
    """The tokenizer. V tokens, R merges.

    byte_tokens int32 [256]: the token of each byte, NO_TOKEN for one that is left out of a text. ranks: the rank of a
    merge by left and right token. merged int32 [R]: the token that a merge makes. token_bytes: all tokens' bytes in a
    row; token i is token_lengths[i] bytes from token_offsets[i]. Special tokens have no bytes, since they print as
    nothing.
    """

    byte_tokens: Int32
    ranks: SparseRows
    merged: Int32
    token_bytes: Bytes
    token_offsets: Int32
    token_lengths: Int32


@dataclass(frozen=True, eq=False)
class ClassTable:
    """The class of code point c is blocks[256 * block_of[c // 256] + c % 256]; equal blocks are stored once."""

    block_of: Int32
    blocks: Bytes


def read_tables(tokenizer_json: bytes, vocabulary_size: int) -> ByteBpeTables:
    """The tables of a `tokenizer.json` whose model is a byte-level BPE; ModelDamaged when the model
    has fewer tokens.

    vocabulary_size: the model's, which may be larger than the tokenizer's; what lies beyond prints as nothing.
    """
    content = json.loads(tokenizer_json)
    vocabulary: dict[str, int] = content["model"]["vocab"]
    merges = [byte_level.read_merge(merge) for merge in content["model"]["merges"]]
    added = {int(token["id"]): token for token in content.get("added_tokens", [])}
    letters = byte_level.byte_letters()
    last = max([*vocabulary.values(), *added])
    if last >= vocabulary_size:
        raise ModelDamaged(
            f"The tokenizer has the token {last}, but the model only {vocabulary_size} tokens; give the model its own"
            " tokenizer."
        )
    spelled: list[bytes] = [b""] * vocabulary_size
    for token, number in vocabulary.items():
        spelled[number] = byte_level.print_token(token)
    for number, stated in added.items():
        spelled[number] = b"" if stated["special"] else stated["content"].encode()
    lengths = np.array([len(text) for text in spelled], np.int32)
    return ByteBpeTables(
        byte_tokens=np.array([vocabulary.get(letter, NO_TOKEN) for letter in letters], np.int32),
        ranks=displace_rows(
            [(vocabulary[left], vocabulary[right], rank) for rank, (left, right) in enumerate(merges)], vocabulary_size
        ),
        merged=np.array([vocabulary[left + right] for left, right in merges] or [0], np.int32),
        token_bytes=np.frombuffer(b"".join(spelled), np.uint8),
        token_offsets=(np.cumsum(lengths) - lengths).astype(np.int32),
        token_lengths=lengths,
    )


@cache
def class_table() -> ClassTable:
    """The classes of all code points."""
    classes = np.frombuffer(unicode_classes.unpack(unicode_classes.TABLE.read_bytes()), np.uint8)
    blocks, block_of = np.unique(classes.reshape(-1, unicode_classes.BLOCK), axis=0, return_inverse=True)
    return ClassTable(block_of.reshape(-1).astype(np.int32), blocks.reshape(-1))
