"""Numbers in a configuration are compared with the weights before anything of that size is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.errors import ModelDamaged

# Keys of KerasHub's backbones that a product of sizes follows from, and what a weight has at least of them.
LAYERS = "num_layers"
VOCABULARY = "vocabulary_size"
HIDDEN = "hidden_dim"
WITHIN = (
    VOCABULARY, HIDDEN, "intermediate_dim", "num_heads", "num_query_heads", "num_key_value_heads", "head_dim",
    "num_attention_heads",
)  # fmt: skip
POSITIONS = "max_sequence_length"
# Backbones with one row of weights a position.
WITH_POSITIONS = frozenset({"GPT2Backbone", "OPTBackbone"})
MOST_POSITIONS = 1 << 26


def check_sizes(class_name: str, config: Mapping[str, Any], datasets: int, elements: int) -> None:
    """ModelDamaged when a backbone's configuration asks for more than its weights can hold.

    datasets, elements: how many the weight files have. Only what would be too much is refused here; that the shapes
    are equal is found when they are loaded.
    """
    sizes = {key: value for key, value in config.items() if type(value) is int}
    for key, value in sizes.items():
        if key in (LAYERS, *WITHIN, POSITIONS) and value < 1:
            raise _wrong(key, value, "at least 1")
    if sizes.get(VOCABULARY) == 1:
        raise _wrong(VOCABULARY, 1, "at least 2, since with one token there is nothing to choose")
    if sizes.get(LAYERS, 1) > datasets:
        raise _wrong(LAYERS, sizes[LAYERS], f"at most {datasets}, since the files hold so many weights")
    for key in WITHIN:
        if sizes.get(key, 1) > elements:
            raise _wrong(key, sizes[key], f"at most {elements}, since the files hold so many numbers")
    hidden = sizes.get(HIDDEN, 1)
    if sizes.get(VOCABULARY, 1) * hidden > elements:
        raise _wrong(VOCABULARY, sizes[VOCABULARY], f"at most {elements // hidden}, since the files hold no more rows")
    each = hidden * sizes.get("intermediate_dim", 1) // 2
    if each * sizes.get(LAYERS, 1) > elements:
        raise _wrong("intermediate_dim", sizes.get("intermediate_dim"), "smaller, since the files hold fewer numbers")
    positions = sizes.get(POSITIONS, 1)
    room = elements // hidden if class_name in WITH_POSITIONS else MOST_POSITIONS
    if positions > room:
        raise _wrong(POSITIONS, positions, f"at most {room}, since the files hold no more")


def tokenizer_larger(tokens: int, rows: int) -> ModelDamaged:
    """The refusal of a tokenizer with tokens that the embedding has no row for."""
    return ModelDamaged(
        f"The tokenizer has {tokens} tokens, and the model's embedding {rows} rows: tokens were added without resizing"
        " the embedding; resize it and train it, or give the tokenizer that the model was trained with."
    )


def _wrong(key: str, value: Any, wanted: str) -> ModelDamaged:
    return ModelDamaged(
        f"config.json has {key}={value}, which does not fit the weights: it must be {wanted}; check that the files"
        " belong together."
    )
