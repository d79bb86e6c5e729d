from __future__ import annotations

from typing import Any

import pytest

from farm.errors import ModelDamaged
from pipeline.models.sizes import check_sizes

SETTINGS = {
    "vocabulary_size": 100, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16,
    "max_sequence_length": 32,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_layers", 10**9), ("num_layers", 0), ("vocabulary_size", 10**9), ("vocabulary_size", 1),
        ("hidden_dim", 10**9), ("intermediate_dim", 10**6), ("num_heads", 10**9), ("max_sequence_length", 10**9),
        ("hidden_dim", -8),
    ],
)  # fmt: skip
def test_more_than_the_weights_hold(key: str, value: int) -> None:
    settings: dict[str, Any] = SETTINGS | {key: value}
    with pytest.raises(ModelDamaged, match=f"config.json has {key}={value}, which does not fit the weights"):
        check_sizes("GPT2Backbone", settings, datasets=24, elements=2000)


def test_what_fits() -> None:
    check_sizes("GPT2Backbone", SETTINGS, datasets=24, elements=2000)
    check_sizes("LlamaBackbone", SETTINGS | {"max_sequence_length": 100_000}, datasets=24, elements=2000)
