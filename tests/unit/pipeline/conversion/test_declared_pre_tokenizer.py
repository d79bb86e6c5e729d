from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.conversion.declared_pre_tokenizer import find_split, read_declared_pre_tokenizer
from pipeline.conversion.tokenizer import EXPRESSIONS, PreTokenizer

DIGITS = {"type": "Digits", "individual_digits": True}
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES = GPT2 | {"use_regex": False}
LLAMA3 = {
    "type": "Split",
    "pattern": {"Regex": EXPRESSIONS[PreTokenizer.LLAMA3]},
    "behavior": "Isolated",
    "invert": False,
}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("stated", "split"),
    [
        (GPT2, PreTokenizer.GPT2),
        (GPT2 | {"trim_offsets": False}, PreTokenizer.GPT2),
        (sequence(LLAMA3, BYTES), PreTokenizer.LLAMA3),
        (sequence(LLAMA3 | {"behavior": "Removed", "invert": True}, BYTES), PreTokenizer.LLAMA3),
        (sequence(LLAMA3 | {"pattern": {"Regex": EXPRESSIONS[PreTokenizer.QWEN2]}}, BYTES), PreTokenizer.QWEN2),
        (sequence(DIGITS, GPT2), PreTokenizer.SMOLLM),
        (sequence(DIGITS | {"individual_digits": False}, GPT2), None),
        (sequence(DIGITS, GPT2 | {"add_prefix_space": True}), None),
        (sequence(LLAMA3 | {"behavior": "Removed"}, BYTES), None),
        (sequence(LLAMA3 | {"pattern": {"String": "a"}}, BYTES), None),
        (sequence({"type": "Metaspace"}), None),
        (None, None),
        ("ByteLevel", None),
    ],
)
def test_patterns_are_known_by_what_they_do(stated: Any, split: PreTokenizer | None) -> None:
    assert find_split(stated) is split


def test_only_a_transformers_checkpoint_states_its_pattern(tmp_path: Path) -> None:
    assert read_declared_pre_tokenizer(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert read_declared_pre_tokenizer(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": sequence(DIGITS, GPT2)}))
    assert read_declared_pre_tokenizer(tmp_path) is PreTokenizer.SMOLLM
    (tmp_path / "config.json").write_text(json.dumps({"registered_name": "keras_hub>LlamaBackbone"}))
    assert read_declared_pre_tokenizer(tmp_path) is None
