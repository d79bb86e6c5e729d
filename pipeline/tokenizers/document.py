"""A `tokenizer.json` as a value: checked, put into one spelling, and its settings told by name.

The settings of each step are read here for every kind; what the farm's subset of the format lacks is kept as it is for
Python and named for the readers that cannot do it (docs/tokenizers.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from farm.errors import ModelDamaged
from farm.tokenizer_kinds import Feature, PreTokenizer, TokenizerKind
from pipeline.tokenizers import byte_level, kinds
from pipeline.tokenizers.merge_order import ignoring_merges_matters
from pipeline.tokenizers.unusable import TokenizerUnusable

Json = Any

MOST_TOKENS = 1_000_000
# A text model has no row for the placeholder of a picture, which the tokenizer of the whole family names.
PLACEHOLDERS = frozenset({"<image_soft_token>"})
ADDED_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True)
class TokenizerDocument:
    """content: the file. kind: None for one that only Python reads. features: what a reader must be able to do;
    others: the settings behind Feature.OTHER by name. split: of a byte-level BPE, where it is in the table."""

    content: bytes
    kind: TokenizerKind | None
    features: frozenset[Feature]
    others: tuple[str, ...] = ()
    split: PreTokenizer | None = None


def write(value: Json, name: str = "tokenizer.json") -> TokenizerDocument:
    """Put a value into the farm's spelling. ModelDamaged; TokenizerUnusable for what no reader has."""
    model = value.get("model") if isinstance(value, Mapping) else None
    if not isinstance(model, Mapping):
        raise ModelDamaged(f"{name} has no model; save or copy the tokenizer again.")
    kind = kinds.find(value)
    for setting in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(setting):
            raise TokenizerUnusable(f"the setting {setting} of {name}")
    vocabulary = _vocabulary(model.get("vocab"), name)
    added = [_added_token(token, name) for token in value.get("added_tokens") or ()]
    _require_one_token_an_id(vocabulary, added, name)
    added.sort(key=lambda token: int(token["id"]))
    listed = _with_their_ids(vocabulary, added)
    merges = [byte_level.read_merge(merge) for merge in model.get("merges") or ()]
    _require_parts(vocabulary, merges)
    steps = kind.read_steps(value, vocabulary)
    written = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": steps.normalizer,
        "pre_tokenizer": steps.pre_tokenizer,
        "post_processor": None,
        "decoder": value.get("decoder"),
        "model": {
            **kind.write_model(model),
            "vocab": dict(sorted(listed.items(), key=lambda item: item[1])),
            "merges": [list(pair) for pair in merges],
        },
    }
    whole_first = bool(model.get("ignore_merges")) and ignoring_merges_matters(
        vocabulary, merges, [token["content"] for token in added]
    )
    if "ignore_merges" in written["model"]:
        written["model"]["ignore_merges"] = whole_first
    features = {kind.feature, *steps.features, *_added_features(added)}
    if whole_first:
        features.add(Feature.IGNORE_MERGES)
    others = [*steps.others]
    if any(token["single_word"] for token in added):
        others.append("added tokens with single_word")
    if others:
        features.add(Feature.OTHER)
    content = json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()
    return TokenizerDocument(content, kind.name, frozenset(features), tuple(others), steps.split)


def within(value: Json, tokens: int) -> Json:
    """The value without placeholders for which a model of so many tokens has no row; ModelDamaged for other tokens."""
    last = tokens - 1
    kept = [
        token
        for token in value.get("added_tokens") or ()
        if not (token.get("content") in PLACEHOLDERS and int(token["id"]) > last)
    ]
    greatest = max([*value["model"]["vocab"].values(), *(int(token["id"]) for token in kept)], default=-1)
    if greatest > last:
        raise ModelDamaged(
            f"The tokenizer has the token {greatest}, but the model only {tokens} tokens; resize the model's"
            " embedding to the tokenizer, or give the model its own tokenizer."
        )
    return {**value, "added_tokens": kept}


def _vocabulary(table: Json, name: str) -> dict[str, int]:
    whole = isinstance(table, Mapping) and all(type(number) is int for number in table.values())
    if not whole or not table:
        raise ModelDamaged(f"{name} has no vocabulary of tokens and numbers; save or copy the tokenizer again.")
    if len(table) > MOST_TOKENS:
        raise ModelDamaged(f"{name} has {len(table)} tokens, more than the {MOST_TOKENS} that a tokenizer may have.")
    for token, number in table.items():
        if not 0 <= number < MOST_TOKENS:
            raise ModelDamaged(f"{name} gives the token {token[:60]!r} the id {number}; save the tokenizer again.")
    return dict(table)


def _added_token(token: Json, name: str) -> Json:
    whole = (
        isinstance(token, Mapping)
        and type(token.get("id")) is int
        and isinstance(token.get("content"), str)
        and token["content"]
    )
    if not whole or not 0 <= token["id"] < MOST_TOKENS:
        raise ModelDamaged(f"{name} has the added token {str(token)[:80]}; save the tokenizer again.")
    return {
        "id": token["id"],
        "content": token["content"],
        **{flag: bool(token.get(flag, False)) for flag in ADDED_FLAGS},
    }


def _require_one_token_an_id(vocabulary: Mapping[str, int], added: list[Json], name: str) -> None:
    owners: dict[int, str] = {}
    for token, number in (*vocabulary.items(), *((token["content"], token["id"]) for token in added)):
        if (first := owners.setdefault(number, token)) != token:
            raise ModelDamaged(
                f"{name} gives the tokens {first[:60]!r} and {token[:60]!r} the same id {number}; save the tokenizer"
                " again with one id a token."
            )


def _with_their_ids(vocabulary: dict[str, int], added: list[Json]) -> dict[str, int]:
    """The vocabulary, with the added tokens where their ids need it: the tokenizers package numbers those that are not
    in it by itself, one after another behind the vocabulary."""
    new = [token for token in added if token["content"] not in vocabulary]
    if [token["id"] for token in new] == list(range(len(vocabulary), len(vocabulary) + len(new))):
        return vocabulary
    return vocabulary | {token["content"]: int(token["id"]) for token in new}


def _require_parts(vocabulary: Mapping[str, int], merges: list[tuple[str, str]]) -> None:
    for left, right in merges:
        if not (left in vocabulary and right in vocabulary and left + right in vocabulary):
            raise ModelDamaged(
                f"The tokenizer's merges do not fit its vocabulary ({left[:30]!r} and {right[:30]!r}); save the"
                " model's tokenizer again."
            )


def _added_features(added: list[Json]) -> Iterator[Feature]:
    if any(not token["special"] for token in added):
        yield Feature.ORDINARY_ADDED
    if any(token["normalized"] for token in added):
        yield Feature.NORMALIZED_ADDED
    if any(token["lstrip"] or token["rstrip"] for token in added):
        yield Feature.STRIPPING_ADDED
