"""Presets and `.keras` files as people have them: each is loaded as the model that was saved."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from examples.byte_level_bpe import train
from farm.jobspec import TokenizerGraph
from pipeline.conversion import decoder_check
from pipeline.conversion.opening import OpenedModel, open_model
from pipeline.models import checking
from pipeline.tokenizers.export import export_tokenizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
]
TOKENS = np.arange(3, 23, dtype=np.int32)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def enliven(model: Any) -> Any:
    random = np.random.default_rng(7)
    for weight in model.weights:
        if len(weight.shape) >= 2:
            weight.assign(random.normal(0, 0.2, weight.shape))
    return model


def bpe() -> tuple[dict[str, int], list[str]]:
    trained = train(["one two three four"], 280, least_count=1)
    vocabulary = dict(trained.vocabulary)
    for token in SPECIALS:
        vocabulary.setdefault(token, len(vocabulary))
    return vocabulary, trained.merges


def gpt2(dtype: Any = "float32") -> Any:
    vocabulary, merges = bpe()
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=vocabulary, merges=merges)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(vocabulary), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        max_sequence_length=32, dtype=dtype,
    )  # fmt: skip
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=16)
    return enliven(keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor))


def tied_llama() -> Any:
    """As SmolLM2: KerasHub forgets in saving that it is tied, and what its special tokens are for."""
    vocabulary, merges = bpe()
    tokenizer = keras_hub.models.Llama3Tokenizer(
        vocabulary,
        merges,
        bos_token="<|im_start|>",  # noqa: S106 # of a vocabulary
        eos_token="<|im_end|>",  # noqa: S106
        misc_special_tokens=set(SPECIALS),
    )
    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=len(vocabulary), num_layers=1, num_query_heads=2, hidden_dim=16, intermediate_dim=24,
        num_key_value_heads=1, tie_word_embeddings=True,
    )  # fmt: skip
    preprocessor = keras_hub.models.Llama3CausalLMPreprocessor(tokenizer, sequence_length=16)
    return enliven(keras_hub.models.Llama3CausalLM(backbone=backbone, preprocessor=preprocessor))


def logits(model: Any) -> np.ndarray:
    ids = TOKENS[None]
    return np.asarray(model({"token_ids": ids, "padding_mask": np.ones_like(ids)}, training=False))[0]


def opened(folder: Path, scratch: Path) -> OpenedModel:
    scratch.mkdir()
    checking.check(folder, scratch)
    return open_model(folder, TokenizerGraph.PORTABLE)


def require_same(found: OpenedModel, saved: np.ndarray, tolerance: float = 1e-5) -> None:
    decoded = decoder_check.run_decoder(found.model.description, found.model.weights, TOKENS)
    assert np.abs(decoded - saved).max() <= tolerance * np.abs(saved).max()
    assert np.abs(found.forward.logits_after(TOKENS) - saved).max() <= tolerance * np.abs(saved).max()


def add_keys_of_keras_nlp(folder: Path) -> None:
    """As keras-nlp 0.9 named a preset's files in the files themselves."""
    assets = ["assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"]
    for name, added in (("config.json", ["model.weights.h5", []]), ("tokenizer.json", [None, assets])):
        value = json.loads((folder / name).read_text())
        value |= {"weights": added[0], "assets": added[1]}
        (folder / name).write_text(json.dumps(value))
    for name in ("task.json", "preprocessor.json"):
        (folder / name).unlink()


def add_unknown_keys(folder: Path) -> None:
    for name in ("config.json", "task.json"):
        value = json.loads((folder / name).read_text()) | {"shared_object_id": 7, "of_a_later_version": {"a": [1]}}
        (folder / name).write_text(json.dumps(value))


def add_marks(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("change", [add_keys_of_keras_nlp, add_unknown_keys, add_marks])
def test_a_preset_of_another_version_or_editor(tmp_path: Path, change: Callable[[Path], None]) -> None:
    model = gpt2()
    model.save_to_preset(tmp_path / "preset")
    change(tmp_path / "preset")
    found = opened(tmp_path / "preset", tmp_path / "scratch")
    require_same(found, logits(model))
    assert found.preprocessor is not None


def test_a_branch_that_is_zero(tmp_path: Path) -> None:
    model = gpt2()
    kernel = model.backbone.transformer_layers[1]._feedforward_output_dense.kernel
    kernel.assign(np.zeros(kernel.shape))
    model.save_to_preset(tmp_path / "preset")
    require_same(opened(tmp_path / "preset", tmp_path / "scratch"), logits(model))


def test_half_precision_by_layer(tmp_path: Path) -> None:
    policies = keras.dtype_policies.DTypePolicyMap(default_policy="mixed_float16")
    policies["transformer_layer_0"] = keras.DTypePolicy("float32")
    model = gpt2(policies)
    (tmp_path / "file").mkdir()
    model.save(tmp_path / "file" / "model.keras")
    # The variables are those of the same model in float32, in which the farm computes.
    require_same(opened(tmp_path / "file", tmp_path / "scratch"), logits(gpt2()))


def test_compiled_with_its_owners_loss(tmp_path: Path) -> None:
    """The loss stands in the file by a name that nothing here knows."""
    model = gpt2()
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (tmp_path / "file").mkdir()
    path = tmp_path / "file" / "model.keras"
    model.save(tmp_path / "as_saved.keras")
    with zipfile.ZipFile(tmp_path / "as_saved.keras") as saved, zipfile.ZipFile(path, "w") as changed:
        for member in saved.namelist():
            content = saved.read(member)
            if member == "config.json":
                config = json.loads(content)
                assert "compile_config" in config
                config["compile_config"]["loss"] = {
                    "module": "mine", "class_name": "function", "config": "smooth_loss", "registered_name": "mine>loss"
                }  # fmt: skip
                content = json.dumps(config).encode()
            changed.writestr(member, content)
    require_same(opened(tmp_path / "file", tmp_path / "scratch"), logits(model))


def test_a_preset_whose_tokenizer_kerashub_cannot_load_again(tmp_path: Path) -> None:
    model = tied_llama()
    model.save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match="special token"):
        keras_hub.models.CausalLM.from_preset(str(tmp_path / "preset"))
    found = opened(tmp_path / "preset", tmp_path / "scratch")
    require_same(found, logits(model))
    assert found.model.description.tied_embedding
    vocabulary, _ = bpe()
    export = export_tokenizer(found.preprocessor, "Llama3", tmp_path / "preset", tokens=len(vocabulary))
    assert set(export.stop_tokens) == {vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]}
    assert export.encode("<|im_start|>one")[0] == vocabulary["<|im_start|>"]
    assert "<|im_end|> or <|endoftext|>" in found.notes[0]


def test_a_tied_llama_with_lora(tmp_path: Path) -> None:
    model = tied_llama()
    model.backbone.enable_lora(2)
    enliven(model)
    model.preprocessor = None
    (tmp_path / "file").mkdir()
    model.save(tmp_path / "file" / "model.keras")
    require_same(opened(tmp_path / "file", tmp_path / "scratch"), logits(model))
