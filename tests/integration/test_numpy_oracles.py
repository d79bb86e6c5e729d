"""Folders of the families that the oracle's release of Transformers lacks are read as what the families compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from farm.errors import FarmError, UnsupportedArchitecture
from pipeline.conversion.checkpoints.reading import read_checkpoint
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.models import checking
from tests.fixtures.known_logits import TOLERANCE, require_logits
from tests.oracle import numpy_cases, numpy_families

_CASES: Any = numpy_cases.CASES
CASES: dict[str, dict[str, dict[str, Any]]] = _CASES
NAMES = [(family, case) for family, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("family", "case"), NAMES)
def test_the_decoder_and_the_witness_compute_what_the_family_does(tmp_path: Path, family: str, case: str) -> None:
    folder = tmp_path / "model"
    numpy_families.write(family, CASES[family][case], folder)
    require_same(folder)


@pytest.mark.parametrize("family", CASES)
def test_every_case_changes_the_result(family: str) -> None:
    """A setting whose value does not matter would be read rightly by anything."""
    plain = logits(family, "plain")
    for case in set(CASES[family]) - {"plain"}:
        other = logits(family, case)
        assert other.shape != plain.shape or np.abs(other - plain).max() > 2 * TOLERANCE * np.abs(plain).max(), case


def published(name: str) -> str:
    return f"language_model.{name}"


def since_release_5(name: str) -> str:
    return name if name.startswith("lm_head") else name.replace("model.", "model.language_model.", 1)


@pytest.mark.parametrize("rename", [published, since_release_5])
@pytest.mark.parametrize("case", ["plain", "untied"])
def test_the_text_of_a_model_with_images(tmp_path: Path, rename: Callable[[str], str], case: str) -> None:
    folder = with_images(tmp_path / "model", CASES["gemma3_text"][case], rename)
    require_same(folder)
    assert "2 tensors" in read_checkpoint(folder).notes[-1]
    for name in ("tokens.npy", "logits.npy"):
        (folder / name).unlink()
    assert checking.check(folder, tmp_path).backbone == "Gemma3Backbone"


@pytest.mark.parametrize("path", ["model.language_model.", "language_model.model.", "model."])
def test_an_adapter_of_a_model_with_images(tmp_path: Path, path: str) -> None:
    """Its names differ from release to release, and what it changes of the images is left out with them."""
    settings = CASES["gemma3_text"]["plain"]
    folder = with_images(tmp_path / "model", settings, published)
    tensors, random = numpy_families.random_tensors("gemma3_text", settings), np.random.default_rng(3)
    adapter: dict[str, np.ndarray] = {}
    for index in range(settings["num_hidden_layers"]):
        module = f"layers.{index}.self_attn.q_proj"
        out, inputs = tensors[f"model.{module}.weight"].shape
        down, up = random.normal(0, 0.3, (2, inputs)), random.normal(0, 0.3, (out, 2))
        tensors[f"model.{module}.weight"] = (tensors[f"model.{module}.weight"] + 3 * up @ down).astype(np.float32)
        adapter |= low_rank(f"{path}{module}", down, up)
    adapter |= low_rank("model.vision_tower.encoder.layers.0.self_attn.q_proj", np.ones((2, 4)), np.ones((4, 2)))
    (folder / "adapter").mkdir()
    save_file(adapter, folder / "adapter" / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q_proj"]}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    tokens = np.load(folder / "tokens.npy")
    expected = numpy_families.logits("gemma3_text", settings, tensors, tokens)
    checkpoint = read_checkpoint(folder)
    found = NumpyForward(checkpoint.description, checkpoint.weights).logits_after(tokens.astype(np.int32))
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()
    assert np.abs(found - np.load(folder / "logits.npy")).max() > 0.01 * np.abs(expected).max()


def low_rank(module: str, down: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    name = f"base_model.model.{module}.lora_"
    return {f"{name}A.weight": down.astype(np.float32), f"{name}B.weight": up.astype(np.float32)}


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"text_config": None}, "text_config"), ({"audio_config": {"layers": 2}}, "audio_config"),
     ({"tie_word_embeddings": False}, "tie_word_embeddings")],
)  # fmt: skip
def test_a_model_with_images_and_settings_that_are_not_known(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = with_images(tmp_path / "model", CASES["gemma3_text"]["plain"], published)
    change(folder, changes)
    with pytest.raises(FarmError, match=named):
        read_checkpoint(folder)


def test_a_tensor_that_belongs_neither_to_text_nor_to_images(tmp_path: Path) -> None:
    folder = with_images(tmp_path / "model", CASES["gemma3_text"]["plain"], published)
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "audio_tower.weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    with pytest.raises(FarmError, match=r"audio_tower\.weight"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("family", "key", "value"),
    [("gemma3_text", "attn_logit_softcapping", 50.0), ("gemma3_text", "use_bidirectional_attention", True),
     ("smollm3", "layer_types", ["sliding_attention"] * 5), ("qwen3", "mlp_bias", True)],
)  # fmt: skip
def test_a_setting_without_one_meaning_is_refused_by_key(tmp_path: Path, family: str, key: str, value: object) -> None:
    folder = tmp_path / "model"
    numpy_families.write(family, CASES[family]["plain"], folder)
    change(folder, {key: value})
    with pytest.raises(UnsupportedArchitecture, match=key):
        read_checkpoint(folder)


def with_images(folder: Path, text: dict[str, Any], rename: Callable[[str], str]) -> Path:
    """A Gemma 3 with images, whose language model is that of the settings."""
    numpy_families.write("gemma3_text", text, folder)
    tensors = load_file(folder / "model.safetensors")
    image = "" if rename is published else "model."
    parts = {
        f"{image}vision_tower.vision_model.embeddings.patch_embedding.bias": np.ones(4, np.float32),
        f"{image}multi_modal_projector.mm_input_projection_weight": np.ones((4, 32), np.float32),
    }
    save_file({rename(name): value for name, value in tensors.items()} | parts, folder / "model.safetensors")
    config = {
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "eos_token_id": [1, 3],
        "text_config": {"model_type": "gemma3_text", **text}, "vision_config": {"hidden_size": 4},
        "image_token_index": 60, "boi_token_index": 58, "eoi_token_index": 59, "mm_tokens_per_image": 4,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def change(folder: Path, settings: dict[str, object]) -> None:
    """Other settings; None takes a key away."""
    config = json.loads((folder / "config.json").read_text()) | settings
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def logits(family: str, case: str) -> np.ndarray:
    settings = CASES[family][case]
    tensors = numpy_families.random_tensors(family, settings)
    return numpy_families.logits(family, settings, tensors, np.arange(numpy_families.TOKENS))


def require_same(folder: Path) -> None:
    """The decoder and the witness agree with the logits beside the checkpoint."""
    checkpoint = read_checkpoint(folder)
    tokens = np.load(folder / "tokens.npy").astype(np.int32)
    expected = np.load(folder / "logits.npy")
    require_logits(checkpoint, tokens, expected)
