"""A model folder is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from examples import checkpoints
from examples.smollm2.__main__ import half_split


def fill(draft: Path) -> None:
    checkpoints.write_json(draft / "tokenizer.json", {})
    checkpoints.write_json(draft / checkpoints.CONFIG, {"model_type": "llama"})


def test_it_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert checkpoints.make_once(folder, fill)
    (folder / "tokenizer.json").write_text("kept")
    assert not checkpoints.make_once(folder, fill)
    assert (folder / "tokenizer.json").read_text() == "kept"


def test_a_failure_leaves_no_model_and_no_draft(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        fill(draft)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        checkpoints.make_once(tmp_path, fail)
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}
    assert checkpoints.make_once(tmp_path, fill)


def test_weights_are_rounded_to_bfloat16(tmp_path: Path) -> None:
    checkpoints.write_weights(tmp_path / "w.safetensors", {"w": np.array([[1.0, 1.001]], np.float32)})
    values = load_file(tmp_path / "w.safetensors")["w"]
    assert values.dtype == "bfloat16"
    assert values.astype(np.float32).tolist() == [[1.0, 1.0]]


def test_rotating_features_are_halves_of_a_head_again() -> None:
    heads, size = 2, 6
    original = np.arange(heads * size, dtype=np.float32)[:, None]
    interleaved = original.reshape(heads, 2, size // 2, 1).swapaxes(1, 2).reshape(heads * size, 1)
    assert (interleaved != original).any()
    assert (half_split(interleaved, heads) == original).all()
