"""Foreign text and data, made fit for databases, terminals and pages."""

from __future__ import annotations

import json

import pytest

from farm import progress
from farm.plain_text import clean, clean_data


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("Ünïcode 語 😀", "Ünïcode 語 😀"),
        ("a\0b\x1b[31mc\nd\r", "a b [31mc d "),
        ("half \ud800 surrogate", "half   surrogate"),
        ("reads \u202eback", "reads  back"),
        ("x" * 30, "x" * 19 + "…"),
    ],
)
def test_text(text: str, cleaned: str) -> None:
    found = clean(text, 20 if len(text) == 30 else 100)
    assert found == cleaned
    found.encode()


def test_data() -> None:
    assert clean_data({"a\0": ["b\x07", 1, 2.5, None, True]}) == {"a ": ["b ", 1, 2.5, None, True]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1 << 64, [[]] * 6000, json.loads("[" * 40 + "]" * 40)])
def test_data_that_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"too|finite"):
        clean_data({"value": value})


@pytest.mark.parametrize(
    "line", [b"[" * 4000, b"x" * 5000, b'{"fraction": NaN, "activity": "x"}', b'{"fraction": "1", "activity": 2}', b"3"]
)
def test_lines_that_are_no_progress(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        progress.decode(line)


def test_progress_is_clean() -> None:
    assert progress.decode(b'{"fraction": 0.5, "activity": "a\\u0000\\ud800b"}').activity == "a  b"
