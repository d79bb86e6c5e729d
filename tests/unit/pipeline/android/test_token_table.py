"""The table of a `tokenizer.json`: what it holds, and what is refused."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from farm.errors import ArtifactDamaged
from pipeline.android import token_table

VOCABULARY = {"a": 0, "é": 1, "aé": 3, "éa": 4}
MODEL = {"type": "BPE", "vocab": VOCABULARY, "merges": [["é", "a"], ["a", "é"]], "byte_fallback": False}
DOCUMENT = {"version": "1.0", "added_tokens": [{"id": 5, "content": "<s>"}], "model": MODEL}


@dataclass
class Reader:
    """Reads a table from `at` on, as the app does."""

    table: bytes
    at: int

    def take(self, count: int) -> bytes:
        self.at += count
        return self.table[self.at - count : self.at]

    def ints(self, count: int) -> list[int]:
        return list(struct.unpack(f">{count}i", self.take(4 * count)))

    def number(self) -> int:
        return self.ints(1)[0]

    def written(self, count: int) -> list[bytes]:
        length, *ends = self.ints(count + 1)
        joined = self.take(length)
        return [joined[start:end] for start, end in pairwise([0, *ends])]


def _content(**changed: Any) -> bytes:
    return json.dumps(DOCUMENT | {"model": MODEL | changed}).encode()


def test_vocabulary_and_merges_become_numbers_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(_content())
    token_table.write_token_table(tmp_path / "tokenizer.json", tmp_path / "made" / "tokenizer.bin")
    table = (tmp_path / "made" / "tokenizer.bin").read_bytes()
    assert token_table.source_digest(table) == hashlib.sha256(_content()).hexdigest()
    rest = Reader(table, 36)
    settings = json.loads(rest.take(rest.number()))
    assert settings == {"version": "1.0", "model": {"type": "BPE", "byte_fallback": False}}
    assert rest.ints(rest.number()) == [5]
    assert rest.written(1) == [b"<s>"]
    assert rest.take(1) == b"\x00"
    tokens = [b"a", "é".encode(), b"", "aé".encode(), "éa".encode()]
    assert rest.number() == 5
    assert rest.written(5) == tokens
    slots = rest.ints(16)
    for number, token in enumerate(tokens):
        if token:
            slot = zlib.crc32(token) % 16
            while slots[slot] != number:
                assert slots[slot] >= 0, f"{token!r} is not found"
                slot = (slot + 1) % 16
    assert sorted(slots) == [-1] * 12 + [0, 1, 3, 4]
    assert rest.number() == 2
    # Of each left token where its merges begin; then their right tokens and ranks; the results by rank.
    assert [rest.ints(6), rest.ints(2), rest.ints(2), rest.ints(2)] == [[0, 1, 2, 2, 2, 2], [1, 0], [1, 0], [4, 3]]
    assert table[rest.at :] == struct.pack(">I", zlib.crc32(table[:-4]))


def test_merges_as_text_give_the_same_numbers() -> None:
    pairs, text = (token_table.token_table(_content(merges=merges)) for merges in ([["a", "é"]], ["a é"]))
    assert pairs[36:-4] == text[36:-4]


def test_flags_of_added_tokens() -> None:
    added = [
        {"id": 4, "content": "<s>", "special": True, "lstrip": True},
        {"id": 5, "content": "", "single_word": True, "rstrip": True, "normalized": True},
    ]
    rest = Reader(token_table.token_table(json.dumps(DOCUMENT | {"added_tokens": added}).encode()), 36)
    rest.take(rest.number())
    assert rest.ints(rest.number()) == [4, 5]
    assert rest.written(2) == [b"<s>", b""]
    assert list(rest.take(2)) == [0b10010, 0b01101]


def test_a_changed_table_has_no_source() -> None:
    table = token_table.token_table(_content())
    assert token_table.source_digest(table[:50] + b"\x00" + table[51:]) is None
    assert token_table.source_digest(b"") is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"model": {}}',
        _content(vocab={}),
        _content(vocab={"a": -1}),
        _content(vocab={"a": 1 << 30}),
        _content(vocab={"a": "0"}),
        _content(merges=[["a", "b"]]),
        _content(merges=["a"]),
    ],
)
def test_what_does_not_fit_together_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactDamaged, match="no vocabulary and merges that fit each other; run the job again"):
        token_table.token_table(content)
