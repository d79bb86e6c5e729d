"""A checkpoint's tokenizer, read from its own `tokenizer.json`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.models import jsonfile

FILE = "tokenizer.json"


def read_preprocessor(folder: Path) -> Any | None:
    """What the export asks of a KerasHub preprocessor, of a byte-level BPE; None where there is none."""
    path = folder / FILE
    if not path.is_file():
        return None
    document = jsonfile.parse(path.read_bytes(), FILE, limit=jsonfile.VOCABULARY_BYTES)
    model = document.get("model") or {}
    if model.get("type") not in (None, "BPE") or model.get("byte_fallback") or not model.get("vocab"):
        return None
    added = {token["content"]: token["id"] for token in document.get("added_tokens") or ()}
    vocabulary = {**model["vocab"], **added}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges") or ()]
    end = _stated_id(folder, "eos_token_id")
    tokenizer = type("BytePairTokenizer", (SimpleNamespace,), {})(
        vocabulary=vocabulary, merges=merges, special_tokens=list(added), add_prefix_space=False,
        start_token_id=None, end_token_id=end,
    )  # fmt: skip
    return SimpleNamespace(tokenizer=tokenizer, add_start_token=False)


def _stated_id(folder: Path, key: str) -> int | None:
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        value = jsonfile.parse(path.read_bytes(), name).get(key) if path.is_file() else None
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, int):
            return value
    return None
