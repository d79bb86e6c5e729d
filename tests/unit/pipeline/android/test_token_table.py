"""The table of a `tokenizer.json`: what it holds, and what is refused."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from farm.errors import ArtifactDamaged
from pipeline.android import token_table

MODEL = {"type": "BPE", "vocab": {"a": 0, "é": 1, "aé": 3}, "merges": [["a", "é"]], "byte_fallback": False}
DOCUMENT = {"version": "1.0", "added_tokens": [{"id": 4, "content": "<s>"}], "model": MODEL}


def _content(**changed: Any) -> bytes:
    return json.dumps(DOCUMENT | {"model": MODEL | changed}).encode()


def test_vocabulary_and_merges_become_numbers_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(_content())
    token_table.write_token_table(tmp_path / "tokenizer.json", tmp_path / "made" / "tokenizer.bin")
    table = (tmp_path / "made" / "tokenizer.bin").read_bytes()
    assert token_table.source_digest(table) == hashlib.sha256(_content()).hexdigest()
    (length,) = struct.unpack_from(">i", table, 36)
    rest = json.loads(table[40 : 40 + length])
    assert rest == DOCUMENT | {"model": {"type": "BPE", "byte_fallback": False}}
    tokens = "aéaé".encode()
    wanted = struct.pack(">6i", 4, len(tokens), 1, 3, 3, 6) + tokens + struct.pack(">4i", 1, 0, 1, 3)
    assert table[40 + length : -4] == wanted


def test_merges_as_text_give_the_same_numbers() -> None:
    pairs, text = (token_table.token_table(_content(merges=merges)) for merges in ([["a", "é"]], ["a é"]))
    assert pairs[36:-4] == text[36:-4]


def test_flags_that_are_not_set_are_left_out() -> None:
    """A phone reads each of them, of thousands of added tokens."""
    flags = {"single_word": False, "lstrip": False, "special": True}
    content = json.dumps(DOCUMENT | {"added_tokens": [{"id": 4, "content": "<s>", **flags}]}).encode()
    table = token_table.token_table(content)
    (length,) = struct.unpack_from(">i", table, 36)
    assert json.loads(table[40 : 40 + length])["added_tokens"] == [{"id": 4, "content": "<s>", "special": True}]


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
