from __future__ import annotations

import pytest

from farm.errors import ModelDamaged, ModelUnsafe
from pipeline.models import jsonfile


@pytest.mark.parametrize(
    ("data", "depth"),
    [
        (b"3", 0),
        (b'{"a": [1, {"b": []}]}', 4),
        (b'"[[[["', 0),
        (b'["\\"[[", []]', 2),
        (b'"never closed [[[', 0),
        (b'"ends in a backslash [\\', 0),
    ],
)
def test_nesting_counts_brackets_outside_of_text(data: bytes, depth: int) -> None:
    assert jsonfile.nesting(data) == depth


def test_the_deepest_that_is_taken() -> None:
    deep = b"[" * jsonfile.DEPTH + b"]" * jsonfile.DEPTH
    jsonfile.parse(deep, "x.json")
    with pytest.raises(ModelUnsafe, match="nests JSON 65 deep"):
        jsonfile.parse(b"[" + deep + b"]", "x.json")


def test_text_with_many_escaped_quotes_takes_one_pass() -> None:
    assert jsonfile.nesting(b'"' + b'\\"' * 500_000) == 0


def test_a_size_over_the_limit_is_refused() -> None:
    with pytest.raises(ModelUnsafe, match="11 bytes large, more than the 10"):
        jsonfile.parse(b" " * 11, "x.json", limit=10)


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(ModelUnsafe, match="the key 'a' twice"):
        jsonfile.parse(b'{"b": 1, "a": 1, "a": 2}', "x.json")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a": tru}', b"[1,]"])
def test_what_is_no_json_is_damaged(data: bytes) -> None:
    with pytest.raises(ModelDamaged, match=r"x\.json is not valid JSON"):
        jsonfile.parse(data, "x.json")
