"""Models that Keras and KerasHub themselves write are never refused, and the lists of classes are those installed."""

from __future__ import annotations

import json
import runpy
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import save_file

from examples.byte_level_bpe import train
from pipeline.conversion.checkpoints import reading
from pipeline.conversion.families import FAMILIES, family_name
from pipeline.models import checking, families

ROOT = Path(__file__).parents[2]
pytestmark = [
    # Keras says so of every CausalLM that is saved before it ran; its variables are there all the same.
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
    # Keras hands its variables to h5py as NumPy 1 wanted them.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    # Loaded without compiling, a model has no use for the optimizer's variables.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
]
SIZES: dict[str, object] = {"vocabulary_size": 300, "num_layers": 1, "hidden_dim": 16, "intermediate_dim": 32}
MULTI_HEAD = {**SIZES, "num_heads": 2, "max_sequence_length": 32}
GROUPED = {**SIZES, "num_query_heads": 2, "num_key_value_heads": 1}
BACKBONES: dict[str, dict[str, object]] = {
    "BloomBackbone": {key: value for key, value in MULTI_HEAD.items() if key != "max_sequence_length"},
    "FalconBackbone": {**SIZES, "num_attention_heads": 2},
    "GPT2Backbone": MULTI_HEAD,
    "GPTNeoXBackbone": MULTI_HEAD,
    "Gemma3Backbone": {**GROUPED, "head_dim": 8, "image_size": 16, "vision_encoder": None},
    "GemmaBackbone": {**GROUPED, "head_dim": 8},
    "Llama3Backbone": GROUPED,
    "LlamaBackbone": GROUPED,
    "MistralBackbone": {**GROUPED, "sliding_window": 8},
    "OPTBackbone": MULTI_HEAD,
    "Phi3Backbone": GROUPED,
    "Qwen3Backbone": {**GROUPED, "head_dim": 8},
    "QwenBackbone": GROUPED,
    "SmolLM3Backbone": {
        **SIZES, "num_attention_heads": 2, "num_key_value_heads": 1, "attention_bias": False, "attention_dropout": 0.0,
        "rope_layer_enabled_list": [True], "layer_types": ["full_attention"], "mlp_bias": False,
        "layer_norm_epsilon": 1e-6, "max_position_embeddings": 32, "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
    },
}  # fmt: skip


def build(name: str) -> keras_hub.models.CausalLM:
    """A tiny model of that backbone, compiled as for training, with a tokenizer where that is byte-level BPE."""
    backbone_class = getattr(keras_hub.models, name)
    lm_class = next(
        getattr(keras_hub.models, lm)
        for lm, backbone in families.known_classes().causal_lms.items()
        if backbone == name and hasattr(keras_hub.models, lm)
    )
    preprocessor = None
    if name in ("GPT2Backbone", "OPTBackbone", "BloomBackbone", "FalconBackbone"):
        bpe = train(["one two three"], 280, least_count=1)
        specials = ["<s>", "</s>", "<pad>"]
        vocabulary = {**bpe.vocabulary, **{token: len(bpe.vocabulary) + index for index, token in enumerate(specials)}}
        tokenizer = lm_class.preprocessor_cls.tokenizer_cls(vocabulary=vocabulary, merges=bpe.merges)
        preprocessor = lm_class.preprocessor_cls(tokenizer, sequence_length=16)
    model = lm_class(backbone=backbone_class(**BACKBONES[name]), preprocessor=preprocessor)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 100)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy()],
        sampler="top_p",
    )
    return model


def renamed(source: Path, target: Path) -> None:
    """The same `.keras` file as KerasNLP wrote it, before it became KerasHub."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, data.replace(b"keras_hub", b"keras_nlp") if member == "config.json" else data)


@pytest.fixture(scope="session")
def good_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Source folders by name, with the backbone that the check must find."""
    root = tmp_path_factory.mktemp("good")
    found: dict[str, tuple[Path, str]] = {}
    for name in BACKBONES:
        keras.utils.clear_session()
        model = build(name)
        for form, write in FORMS.items():
            folder = root / f"{name}-{form}"
            write(model, folder)
            found[f"{name} {form}"] = (folder, name)
    return found


def _preset(model: keras_hub.models.CausalLM, folder: Path) -> None:
    model.save_to_preset(str(folder))


def _backbone_preset(model: keras_hub.models.CausalLM, folder: Path) -> None:
    model.backbone.save_to_preset(str(folder))


def _keras_file(model: keras_hub.models.CausalLM, folder: Path) -> None:
    folder.mkdir()
    model.save(str(folder / "model.keras"))


def _nlp_file(model: keras_hub.models.CausalLM, folder: Path) -> None:
    _keras_file(model, folder)
    (folder / "model.keras").rename(folder / "new.keras")
    renamed(folder / "new.keras", folder / "model.keras")
    (folder / "new.keras").unlink()


FORMS: dict[str, Callable[[keras_hub.models.CausalLM, Path], None]] = {
    "preset": _preset,
    "backbone alone": _backbone_preset,
    "keras file": _keras_file,
    "KerasNLP file": _nlp_file,
}
NAMES = [f"{backbone} {form}" for backbone in BACKBONES for form in FORMS]


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= 50
    assert set(BACKBONES) == set(families.supported())


@pytest.mark.parametrize("name", NAMES)
def test_is_accepted(good_models: dict[str, tuple[Path, str]], name: str, tmp_path: Path) -> None:
    folder, backbone = good_models[name]
    assert checking.check(folder, tmp_path).backbone == backbone


@pytest.mark.parametrize("name", ["GPT2Backbone KerasNLP file", "GPT2Backbone keras file"])
def test_what_is_accepted_can_be_loaded(good_models: dict[str, tuple[Path, str]], name: str) -> None:
    model = keras.saving.load_model(good_models[name][0] / "model.keras", compile=False)
    assert isinstance(model, keras_hub.models.GPT2CausalLM)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("generated")
    script = runpy.run_path(str(ROOT / "scripts" / "model-classes"))
    script["write"](folder / "classes.json", script["classes"]())
    script["write"](folder / "presets.json", script["presets"]())
    yield folder


@pytest.mark.parametrize("path", [families.CLASSES, families.PRESETS], ids=lambda path: path.name)
def test_the_lists_are_those_of_the_installed_versions(generated: Path, path: Path) -> None:
    assert json.loads(path.read_text()) == json.loads((generated / path.name).read_text())


def test_the_check_knows_every_model_type_that_is_read() -> None:
    listed = {kind: family.backbone for family in families.supported().values() for kind in family.model_types}
    assert set(listed) == set(reading.FAMILIES)
    for kind, backbone in listed.items():
        # One reader serves Llama of all ages, for which KerasHub has two classes.
        assert family_name(backbone).removesuffix("3") == reading.FAMILIES[kind].name.removesuffix("3")


def test_the_check_supports_exactly_the_families_that_have_a_mapping() -> None:
    assert {family.backbone: family.name for family in families.supported().values()} == {
        backbone: family_name(backbone) for backbone in FAMILIES
    }


def test_a_transformers_checkpoint_is_accepted_and_can_be_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    bpe = train(["one two three"], 280, least_count=1)
    (folder / "vocab.json").write_text(json.dumps(bpe.vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(bpe.merges))
    sizes = {"vocab_size": len(bpe.vocabulary), "n_embd": 16, "n_layer": 1, "n_head": 2, "n_inner": None}
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], **sizes, "n_positions": 32}
    (folder / "config.json").write_text(json.dumps({**config, "resid_pdrop": 0.1, "_name_or_path": "/home/me/gpt2"}))
    weights = {
        name: np.random.default_rng(0).standard_normal(shape, np.float32)
        for name, shape in checkpoint_shapes(len(bpe.vocabulary), 16, 32).items()
    }
    save_file(weights, folder / "model.safetensors")
    assert checking.check(folder, tmp_path).backbone == "GPT2Backbone"
    model = keras_hub.models.CausalLM.from_preset(str(folder))
    assert isinstance(model, keras_hub.models.GPT2CausalLM)
    np.testing.assert_array_equal(model.backbone.token_embedding.embeddings, weights["wte.weight"])


def checkpoint_shapes(vocabulary: int, width: int, positions: int) -> dict[str, tuple[int, ...]]:
    """A GPT-2 of one layer in Transformers' names."""
    layer = {
        "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,),
        "attn.c_attn.weight": (width, 3 * width), "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width), "attn.c_proj.bias": (width,),
        "mlp.c_fc.weight": (width, 4 * width), "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (4 * width, width), "mlp.c_proj.bias": (width,),
    }  # fmt: skip
    outer = {"wte.weight": (vocabulary, width), "wpe.weight": (positions, width)}
    return (
        outer | {"ln_f.weight": (width,), "ln_f.bias": (width,)} | {f"h.0.{key}": shape for key, shape in layer.items()}
    )
