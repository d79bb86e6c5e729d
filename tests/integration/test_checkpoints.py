"""Folders that Transformers itself wrote are read as what Transformers computes with them, or refused."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from farm import locations
from farm.errors import FarmError, UnsupportedArchitecture
from pipeline.conversion.checkpoints.reading import read_checkpoint
from tests.fixtures.known_logits import TOLERANCE, require_logits

ORACLE = locations.ROOT / "tests" / "oracle"
# Read off the script's source, whose imports this environment has not.
CASES = runpy.run_path(str(ORACLE / "cases.py"))["CASES"]
NAMES = [f"{family}-{case}" for family, cases in CASES.items() for case in cases]


def test_every_case_changes_the_result(written: Path) -> None:
    """A setting whose value does not matter would be read rightly by anything."""
    for family, cases in CASES.items():
        plain = np.load(written / f"{family}-plain" / "logits.npy")
        for case in set(cases) - {"plain", "dynamic", "slices", "ignored_act", "long"}:
            other = np.load(written / f"{family}-{case}" / "logits.npy")
            assert other.shape != plain.shape or np.abs(other - plain).max() > 2 * TOLERANCE * np.abs(plain).max(), case


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_and_the_witness_compute_what_transformers_does(written: Path, name: str) -> None:
    folder = written / name
    checkpoint = read_checkpoint(folder)
    tokens = np.load(folder / "tokens.npy").astype(np.int32)
    expected = np.load(folder / "logits.npy")
    require_logits(checkpoint, tokens, expected)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("Llama-plain", "hidden_act", "mish"), ("Llama-plain", "rope_scaling", {"rope_type": "ntk", "factor": 2.0}),
        ("Llama-plain", "router_aux_loss_coef", 0.001), ("GPT2-plain", "add_cross_attention", True),
        ("Llama-plain", "rope_scaling", {"rope_type": "linear", "factor": 2.0, "finetuned": True}),
        ("Qwen2-plain", "layer_types", ["full_attention", "linear_attention", "full_attention"]),
        ("Gemma2-plain", "use_bidirectional_attention", True), ("GPT2-plain", "pruned_heads", {"1": [0]}),
        ("Llama-plain", "quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    ],
)  # fmt: skip
def test_a_setting_that_is_not_known_is_refused_by_key(
    written: Path, tmp_path: Path, name: str, key: str, value: object
) -> None:
    folder = changed(written / name, tmp_path, {key: value})
    shown = key if key != "rope_scaling" or not isinstance(value, dict) or "finetuned" not in value else "finetuned"
    shown = "rope_type" if value == {"rope_type": "ntk", "factor": 2.0} else shown
    with pytest.raises(UnsupportedArchitecture, match=shown):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["Llama-plain", "GPT2-plain", "Bloom-plain", "GPTNeoX-plain", "Falcon-plain"])
def test_a_tensor_that_the_family_does_not_have_is_refused_by_name(written: Path, tmp_path: Path, name: str) -> None:
    folder = changed(written / name, tmp_path, {})
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "layers.0.adapter.weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    with pytest.raises(UnsupportedArchitecture, match=r"layers\.0\.adapter\.weight"):
        read_checkpoint(folder)


def test_a_bias_that_the_config_does_not_speak_of_is_refused(written: Path, tmp_path: Path) -> None:
    folder = changed(written / "Llama-biased", tmp_path, {"attention_bias": False})
    with pytest.raises(UnsupportedArchitecture, match=r"_proj\.bias"):
        read_checkpoint(folder)


def test_codes_under_the_names_of_weights_are_refused(written: Path, tmp_path: Path) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {})
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({**tensors, name: np.rint(tensors[name] * 50).astype(np.int8)}, folder / "model.safetensors")
    with pytest.raises(UnsupportedArchitecture, match=r"up_proj\.weight.* I8"):
        read_checkpoint(folder)


def test_values_that_are_no_numbers_are_counted(written: Path, tmp_path: Path) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {})
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3:5] = np.nan
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(FarmError, match=r"model\.norm\.weight' holds 2 of 32"):
        read_checkpoint(folder).tensors.require_finite()


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 10**9), ("vocab_size", 10**8), ("hidden_size", -1), ("num_attention_heads", "4"),
     ("rms_norm_eps", 0), ("num_hidden_layers", 4), ("intermediate_size", 47), ("head_dim", 2**40)],
)  # fmt: skip
def test_sizes_that_the_files_do_not_have_are_refused_at_once(
    written: Path, tmp_path: Path, key: str, value: object
) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {key: value})
    with pytest.raises(FarmError) as refused:
        read_checkpoint(folder)
    assert not refused.value.retryable


def test_an_output_that_is_missing_is_the_embedding_and_said(written: Path, tmp_path: Path) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {})
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")
    found = read_checkpoint(folder)
    assert found.description.tied_embedding
    assert "lm_head.weight" in found.notes[0]


def test_an_output_of_its_own_beside_a_tied_embedding_is_refused(written: Path, tmp_path: Path) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {"tie_word_embeddings": True})
    with pytest.raises(UnsupportedArchitecture, match=r"lm_head\.weight"):
        read_checkpoint(folder)


@pytest.mark.parametrize("weight_map", [{"a": "../../x.safetensors"}, {"a": "/dev/zero"}, {"a": 1}, []])
def test_an_index_that_leads_elsewhere_is_refused(written: Path, tmp_path: Path, weight_map: object) -> None:
    folder = changed(written / "Llama-plain", tmp_path, {})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(FarmError, match=r"model\.safetensors\.index\.json"):
        read_checkpoint(folder)


def test_shards_in_half_precision_with_rope_parameters_are_the_same_model(written: Path, tmp_path: Path) -> None:
    """As Transformers 5 writes them."""
    plain = read_checkpoint(written / "Llama-base")
    folder = changed(
        written / "Llama-base", tmp_path,
        {"rope_theta": None, "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"}, "dtype": "float16"},
    )  # fmt: skip
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names, listed = sorted(tensors), dict[str, str]()
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name].astype(np.float16) for name in part}, folder / file)
        listed |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    found = read_checkpoint(folder)
    assert found.description == plain.description
    for name in plain.weights.names():
        rows = plain.weights.shape(name)[0]
        np.testing.assert_allclose(found.weights.rows(name, 0, rows), plain.weights.rows(name, 0, rows), atol=1e-3)


def changed(folder: Path, tmp_path: Path, settings: dict[str, object]) -> Path:
    """A copy of a checkpoint with other settings; None takes a key away."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text()) | settings
    (copy / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return copy
