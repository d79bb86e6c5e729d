"""How the `tokenizer.json` of a Transformers checkpoint says to split a text.

KerasHub reads vocabulary and merges from that file and leaves the rest: it takes SmolLM's tokenizer for Llama 3's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm import sources
from pipeline.conversion.tokenizer import PreTokenizer, pre_tokenizer
from pipeline.models import jsonfile

FILE = "tokenizer.json"


def read_declared_pre_tokenizer(source: Path) -> PreTokenizer | None:
    """The pattern that a checkpoint in that folder states; None for a model of Keras's, and for a pattern not known."""
    config, tokenizer = source / sources.CONFIG, source / FILE
    if not config.is_file() or not tokenizer.is_file():
        return None
    if not sources.is_transformers(jsonfile.parse(config.read_bytes(), sources.CONFIG)):
        return None
    stated = jsonfile.parse(tokenizer.read_bytes(), FILE, limit=jsonfile.VOCABULARY_BYTES)
    return find_split(stated.get("pre_tokenizer") if isinstance(stated, dict) else None)


def find_split(stated: Any) -> PreTokenizer | None:
    """The pattern that does what a `pre_tokenizer` of the tokenizers package does."""
    wanted = list(_steps(stated))
    return next((name for name in PreTokenizer if list(_steps(json.loads(_written(name)))) == wanted), None)


def _written(name: PreTokenizer) -> bytes:
    state: bytes = pre_tokenizer(name).__getstate__()
    return state


def _steps(stated: Any) -> Iterator[tuple[Any, ...]]:
    """What decides how text is split, step by step; offsets do not."""
    if not isinstance(stated, Mapping):
        return
    match stated.get("type"):
        case "Sequence":
            for step in stated.get("pretokenizers") or ():
                yield from _steps(step)
        case "Digits":
            yield "digits", stated.get("individual_digits")
        case "ByteLevel":
            yield "bytes", stated.get("add_prefix_space"), stated.get("use_regex", True)
        case "Split":
            pattern = stated.get("pattern")
            expression = pattern.get("Regex") if isinstance(pattern, Mapping) else pattern
            # What is removed is what does not match, and everything does.
            whole = (stated.get("behavior"), stated.get("invert")) in (("Isolated", False), ("Removed", True))
            yield "split", expression, whole
        case other:
            yield "other", str(other)
