"""What a text takes of memory, as a model's configuration has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from pipeline.models import text_memory

LLAMA = {
    "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
    "num_key_value_heads": 3, "head_dim": 64, "max_position_embeddings": 8192,
}  # fmt: skip
GPT2 = {
    "class_name": "GPT2Backbone",
    "config": {"num_layers": 4, "num_heads": 4, "hidden_dim": 128, "max_sequence_length": 1024},
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, 8 * 30 * 3 * 64),
        ({key: value for key, value in LLAMA.items() if key != "head_dim"}, 8 * 30 * 3 * 64),
        ({"text_config": LLAMA, "vision_config": {"num_hidden_layers": 99}}, 8 * 30 * 3 * 64),
        (GPT2, 8 * 4 * 4 * 32),
        ({"class_name": "GPT2CausalLM", "config": {"backbone": GPT2}}, 8 * 4 * 4 * 32),
        ({"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8}, 8 * 2 * 2 * 4),
        (
            {"model_type": "falcon", "num_hidden_layers": 2, "num_attention_heads": 71, "hidden_size": 4544,
             "multi_query": True},
            8 * 2 * 64,
        ),
        ({"model_type": "llama"}, None),
        ({**LLAMA, "num_hidden_layers": "30"}, None),
        ({**LLAMA, "num_hidden_layers": 0}, None),
        ([], None),
    ],
)  # fmt: skip
def test_a_token(config: Any, expected: int | None) -> None:
    assert text_memory.row_bytes(config) == expected


def spec(folder: Path, **settings: Any) -> JobSpec:
    return JobSpec(model_kind=ModelKind.FOLDER, model=str(folder), **settings)


def test_the_longest_text_of_a_job(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA))
    row = 8 * 30 * 3 * 64
    assert text_memory.estimates(spec(tmp_path)) == [(2048, 2048 * row), (4096, 4096 * row)]
    assert text_memory.estimates(spec(tmp_path, context=500)) == [(500, 500 * row)]
    assert text_memory.estimates(spec(tmp_path, io_mode=IoMode.BYTES)) == [(256, 256 * row)]
    config.write_text(json.dumps(GPT2))
    assert text_memory.estimates(spec(tmp_path)) == [(1024, 1024 * 8 * 4 * 4 * 32)]


def test_nothing_is_said_without_a_configuration(tmp_path: Path) -> None:
    assert text_memory.estimates(spec(tmp_path)) == []
    (tmp_path / "config.json").write_text("{")
    assert text_memory.estimates(spec(tmp_path)) == []
    assert text_memory.estimates(JobSpec(model_kind=ModelKind.HUGGINGFACE, model="hf://a/b")) == []
