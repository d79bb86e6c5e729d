"""A preset's tokenizer read from its files, where KerasHub saved it and cannot load it again.

KerasHub writes down which tokens are never split, and not which of them begin and end a text: a tokenizer that was not
made with its class's own is then refused ("Cannot find special token").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.models import jsonfile

FILE = "tokenizer.json"
VOCABULARY = "assets/tokenizer/vocabulary.json"
MERGES = "assets/tokenizer/merges.txt"
# Tokens that end a text or a turn, the turn first, as the families name them.
ENDS = ("<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>")


@dataclass(frozen=True)
class ForgottenTokenizer:
    """What the export of tokenizers asks of a preprocessor, and what a user should know of it."""

    preprocessor: Any
    note: str


def read_tokenizer(source: Path) -> ForgottenTokenizer | None:
    """The tokenizer of a preset with a byte-level BPE; None where its files hold no other or no end token."""
    paths = [source / name for name in (FILE, VOCABULARY, MERGES)]
    if not all(path.is_file() for path in paths):
        return None
    stated = jsonfile.parse(paths[0].read_bytes(), FILE)
    vocabulary: Mapping[str, int] = jsonfile.parse(paths[1].read_bytes(), VOCABULARY, limit=jsonfile.VOCABULARY_BYTES)
    settings = stated.get("config") or {}
    whole = [token for token in settings.get("unsplittable_tokens") or () if token in vocabulary]
    ends = [token for token in ENDS if token in whole]
    if not ends:
        return None
    # The class by its name alone decides how text is split.
    bases = (type("BytePairTokenizer", (SimpleNamespace,), {}),)
    tokenizer = type(str(stated["class_name"]), bases, {})(
        vocabulary=vocabulary,
        merges=paths[2].read_text(encoding="utf-8-sig").split("\n"),
        special_tokens=whole,
        unsplittable_tokens=whole,
        add_prefix_space=bool(settings.get("add_prefix_space")),
        start_token_id=None,
        end_token_id=vocabulary[ends[0]],
        end_token2_id=vocabulary[ends[-1]],
    )
    note = (
        "The preset's tokenizer does not say which tokens begin and end a text, so that KerasHub cannot load it:"
        f" nothing is put before a prompt, and a text ends at {' or '.join(dict.fromkeys((ends[0], ends[-1])))}."
    )
    return ForgottenTokenizer(SimpleNamespace(tokenizer=tokenizer, add_start_token=False), note)
