"""`tokenizer.bin`: a `tokenizer.json` whose tokens and merges are numbers, so that a phone opens it at once.

A quarter of a million tokens take the app's JSON reader two seconds and 100 MB of heap; this table takes a fraction of
both, since the hash table of the tokens and the order of the merges are made here. All else of the file stays the JSON
that it is: the app alone knows what it means. The layout stands in `TokenTable.kt` of the library, which reads it.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from farm import digests
from farm.errors import ArtifactDamaged

MAGIC = b"KFT2"
HINT = "run the job again."
MOST_IDS = 1 << 22
# What is said of an added token, from the lowest bit on.
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
FREE = -1


def write_token_table(tokenizer: Path, target: Path) -> None:
    """Write the table of a `tokenizer.json`. ArtifactDamaged when it holds no vocabulary and merges that fit."""
    content = tokenizer.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(token_table(content))


def token_table(content: bytes) -> bytes:
    """The table of a `tokenizer.json`'s content: the same bytes every time."""
    try:
        document = json.loads(content)
        model = document["model"]
        vocabulary, merges = model.pop("vocab"), model.pop("merges")
        tokens, merged = _tokens(vocabulary), _merges(vocabulary, merges)
        added = _added(document.pop("added_tokens", None) or ())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactDamaged(f"tokenizer.json has no vocabulary and merges that fit each other; {HINT}") from error
    rest = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    parts = (
        MAGIC, bytes.fromhex(digests.of_bytes(content)), _big_endian([len(rest)]), rest, added,
        _big_endian([len(tokens)]), _written(tokens), _big_endian(_slots(tokens)), _sorted(merged, len(tokens)),
    )  # fmt: skip
    body = b"".join(parts)
    return body + struct.pack(">I", zlib.crc32(body))


def source_digest(table: bytes) -> str | None:
    """Hex SHA-256 of the `tokenizer.json` that a table was made of; None for what is no whole table."""
    whole = table[:4] == MAGIC and struct.pack(">I", zlib.crc32(table[:-4])) == table[-4:]
    return table[4:36].hex() if whole else None


def _added(tokens: Iterable[Mapping[str, Any]]) -> bytes:
    """The added tokens; ValueError for an id out of range."""
    each = [(token["id"], token["content"].encode(), _flags(token)) for token in tokens]
    if not all(0 <= number < MOST_IDS for number, _, _ in each):
        raise ValueError("an id is out of range")
    ids = _big_endian(number for number, _, _ in each)
    written = _written([content for _, content, _ in each])
    return _big_endian([len(each)]) + ids + written + bytes(flags for _, _, flags in each)


def _flags(token: Mapping[str, Any]) -> int:
    return sum(bool(token.get(name)) << bit for bit, name in enumerate(FLAGS))


def _written(tokens: Sequence[bytes]) -> bytes:
    """How tokens are written: the bytes of all of them, the end of each, and the bytes."""
    ends = list(accumulate(map(len, tokens)))
    return _big_endian([ends[-1] if ends else 0, *ends]) + b"".join(tokens)


def _slots(tokens: Sequence[bytes]) -> list[int]:
    """A hash table of ids, at least twice as large: a token lies at its CRC-32, or in the next slot that is free."""
    slots = [FREE] * (1 << (2 * len(tokens) - 1).bit_length())
    mask = len(slots) - 1
    for number, token in enumerate(tokens):
        if token:
            slot = zlib.crc32(token) & mask
            while slots[slot] != FREE:
                slot = slot + 1 & mask
            slots[slot] = number
    return slots


def _sorted(merges: Sequence[tuple[int, int, int]], ids: int) -> bytes:
    """The merges: their number, where those of each left token begin, their right tokens and ranks in the order of the
    left and then the right token, and the results by rank."""
    ordered = sorted((left, right, rank) for rank, (left, right, _) in enumerate(merges))
    begins = [0] * (ids + 1)
    for left, _, _ in ordered:
        begins[left + 1] += 1
    return _big_endian(
        (len(merges), *accumulate(begins), *(right for _, right, _ in ordered), *(rank for _, _, rank in ordered),
         *(result for _, _, result in merges))
    )  # fmt: skip


def _tokens(vocabulary: Mapping[str, int]) -> list[bytes]:
    """The tokens in UTF-8 by id; none for an id that is not used."""
    if not 0 <= min(vocabulary.values()) <= max(vocabulary.values()) < MOST_IDS:
        raise ValueError("an id is out of range")
    tokens = [b""] * (max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        tokens[number] = token.encode()
    return tokens


def _merges(vocabulary: Mapping[str, int], merges: Iterable[Any]) -> list[tuple[int, int, int]]:
    """Left, right and resulting id of each merge."""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    return [(vocabulary[left], vocabulary[right], vocabulary[left + right]) for left, right in pairs]


def _big_endian(values: Iterable[int]) -> bytes:
    numbers = array("i", values)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()
