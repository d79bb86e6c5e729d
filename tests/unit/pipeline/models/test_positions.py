"""The positions that a model's configuration states."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from farm.modelref import ModelKind, ModelRef
from pipeline.models import positions

GPT2 = {"class_name": "GPT2Backbone", "registered_name": "x", "config": {"max_sequence_length": 64}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GPT2, 64),
        ({"class_name": "GPT2CausalLM", "config": {"backbone": GPT2}}, 64),
        ({"class_name": "BloomBackbone", "config": {"max_sequence_length": 64}}, None),
        ({"class_name": "LlamaBackbone", "config": {}}, None),
        ({"class_name": "GPT2Backbone", "config": {"max_sequence_length": "64"}}, None),
        ({"model_type": "gpt2", "n_positions": 48}, 48),
        ({"model_type": "llama", "max_position_embeddings": 2048}, 2048),
        ({"model_type": "bloom", "max_position_embeddings": 64}, None),
        ({"model_type": "falcon", "alibi": True, "max_position_embeddings": 64}, None),
        ({"model_type": "falcon", "alibi": False, "max_position_embeddings": 64}, 64),
        ({"class_name": "GPT2Backbone", "config": []}, None),
        ([], None),
    ],
)
def test_what_is_stated(config: Any, expected: int | None, tmp_path: Path) -> None:
    assert positions.stated(config) == expected
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions.positions_of(ModelRef(ModelKind.FOLDER, str(tmp_path))) == expected
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert positions.positions_of(ModelRef(ModelKind.KERAS_FILE, str(tmp_path / "m.keras"))) == expected


def test_nothing_is_known_of_a_model_elsewhere() -> None:
    assert positions.positions_of(ModelRef(ModelKind.HUGGINGFACE, "hf://a/b")) is None
