"""`tokenizer.bin`: a `tokenizer.json` whose vocabulary and merges are numbers, so that a phone opens it at once.

A quarter of a million tokens take the app's JSON reader two seconds and 100 MB of heap; this table takes a fraction of
both. All else of the file stays the JSON that it is: the app alone knows what it means. The layout stands in
`TokenTable.kt` of the library, which reads it.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from farm import digests
from farm.errors import ArtifactDamaged

MAGIC = b"KFT1"
HINT = "run the job again."
MOST_IDS = 1 << 22


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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactDamaged(f"tokenizer.json has no vocabulary and merges that fit each other; {HINT}") from error
    document["added_tokens"] = [_without_false(token) for token in document.get("added_tokens") or ()]
    rest = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    ends = list(accumulate(map(len, tokens)))
    parts = (
        MAGIC, bytes.fromhex(digests.of_bytes(content)), struct.pack(">i", len(rest)), rest,
        struct.pack(">ii", len(tokens), ends[-1]), _big_endian(ends), *tokens,
        struct.pack(">i", len(merged)), *(_big_endian(column) for column in zip(*merged, strict=True)),
    )  # fmt: skip
    body = b"".join(parts)
    return body + struct.pack(">I", zlib.crc32(body))


def source_digest(table: bytes) -> str | None:
    """Hex SHA-256 of the `tokenizer.json` that a table was made of; None for what is no whole table."""
    whole = table[:4] == MAGIC and struct.pack(">I", zlib.crc32(table[:-4])) == table[-4:]
    return table[4:36].hex() if whole else None


def _without_false(token: Mapping[str, Any]) -> dict[str, Any]:
    """An added token without the flags that are not set, as which the app takes those that are missing."""
    return {key: value for key, value in token.items() if value is not False}


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
