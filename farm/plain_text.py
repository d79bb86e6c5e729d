"""Foreign text made fit for a database, a terminal, a log and a page: no control characters, no half characters."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

SENTENCE_CHARACTERS = 2000
# Of data without a schema: how deep, how many values, how long a text.
DEPTH, VALUES, TEXT_CHARACTERS = 16, 5000, 20_000
LARGEST_INTEGER = 2**63 - 1

# Controls and halves of surrogate pairs; and marks that turn the order of a line around or end it.
_REFUSED = frozenset({"Cc", "Cs"})
_HALVES = re.compile("[\ud800-\udfff]")
_ORDER_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2028\u2029")


def clean(text: str, limit: int = SENTENCE_CHARACTERS) -> str:
    """One line: each control, lone surrogate and mark of order becomes a space; cut after `limit` characters."""
    cut = text[: limit + 1]
    if not cut.isascii() or not cut.isprintable():
        cut = "".join(
            " " if letter in _ORDER_MARKS or unicodedata.category(letter) in _REFUSED else letter for letter in cut
        )
    return cut if len(cut) <= limit else f"{cut[: limit - 1]}…"


def replace_surrogates(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which no UTF-8 has."""
    return _HALVES.sub("\ufffd", text)


def clean_data(value: Any) -> Any:
    """Data as read from JSON with every text clean; ValueError when it is too deep, too much, or no finite number."""
    return _clean(value, DEPTH, [VALUES])


def _clean(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        raise ValueError("too much or too deep")
    if isinstance(value, str):
        return clean(value, TEXT_CHARACTERS)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("no finite number")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError("too large a number")
    if isinstance(value, dict):
        return {clean(str(key), 200): _clean(item, depth - 1, left) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, depth - 1, left) for item in value]
    return value
