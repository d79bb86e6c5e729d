"""JSON from a stranger's model: bounded in size, depth and number of values before anything is built from it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from farm.errors import ModelDamaged, ModelUnsafe

CONFIG_BYTES = 16 << 20
VOCABULARY_BYTES = 96 << 20
DEPTH = 64
# A string that is never closed reaches to the end, so that one pass suffices whatever the data.
STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def parse(data: bytes, name: str, *, limit: int = CONFIG_BYTES) -> Any:
    """The value of a JSON file; `name` for the sentences. ModelDamaged, ModelUnsafe."""
    if len(data) > limit:
        raise too_large(name, len(data), limit)
    depth = nesting(data)
    if depth > DEPTH:
        raise ModelUnsafe(f"{name} nests JSON {depth} deep; no model's file needs more than {DEPTH}, so it is refused.")
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_duplicates)
    except _DuplicateKey as error:
        raise ModelUnsafe(
            f"{name} holds the key {str(error)[:60]!r} twice, which readers take differently; save the model again."
        ) from error
    except ValueError as error:
        place = f" from character {error.pos} on" if isinstance(error, json.JSONDecodeError) else ", or not UTF-8"
        raise ModelDamaged(f"{name} is not valid JSON{place}; save or copy the model again.") from error


def too_large(name: str, size: int, limit: int) -> ModelUnsafe:
    """The refusal of a file that is larger than any model needs."""
    return ModelUnsafe(f"{name} is {size} bytes large, more than the {limit} that a model may need; it is refused.")


def nesting(data: bytes) -> int:
    """The deepest nesting of brackets, those in strings left out."""
    deepest = depth = 0
    for token in STRING_OR_BRACKET.finditer(data):
        first = token[0][:1]
        if first in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif first in (b"]", b"}"):
            depth -= 1
    return deepest


class _DuplicateKey(Exception):
    """A JSON object with the same key twice."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _DuplicateKey(counts.most_common(1)[0][0])
    return value
