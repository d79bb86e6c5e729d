from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.errors import FarmError, ModelDamaged, ModelEmpty, NotCausalLM, UnsupportedFamily
from pipeline.models import checking
from pipeline.models.checking import Checked
from tests.security.model_files import (
    backbone,
    causal_lm,
    hub_object,
    keras_object,
    with_value,
    write_checkpoint,
    write_keras,
    write_preset,
)


def check(folder: Path) -> Checked:
    return checking.check(folder, folder.parent)


def test_a_preset(tmp_path: Path) -> None:
    write_preset(tmp_path / "source")
    sizes = [path.stat().st_size for path in (tmp_path / "source").rglob("*") if path.is_file()]
    assert check(tmp_path / "source") == Checked("preset", "GPT2Backbone", 8, sum(sizes))


def test_a_vocabulary_fits_the_embedding_to_the_last_row(tmp_path: Path) -> None:
    write_preset(tmp_path / "source")
    path = tmp_path / "source" / "assets" / "tokenizer" / "vocabulary.json"
    words, rows = json.loads(path.read_text()), backbone()["config"]["vocabulary_size"]
    path.write_text(json.dumps(words | {"the last one": rows - 1}))
    check(tmp_path / "source")
    path.write_text(json.dumps(words | {"one more": rows}))
    with pytest.raises(
        ModelDamaged, match=f"The tokenizer has {rows + 1} tokens, and the model's embedding {rows} rows"
    ):
        check(tmp_path / "source")


def test_a_keras_file_and_nothing_is_left_in_scratch(tmp_path: Path) -> None:
    write_keras(tmp_path / "source")
    size = (tmp_path / "source" / "model.keras").stat().st_size
    assert check(tmp_path / "source") == Checked("keras", "GPT2Backbone", 1, size)
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


def test_a_checkpoint_is_named_by_what_it_is_converted_to(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "source")
    assert check(tmp_path / "source").backbone == "GPT2Backbone"


def test_what_is_written_down(tmp_path: Path) -> None:
    Checked("keras", "GPT2Backbone", 1, 5).write(tmp_path / "checked.json")
    written = json.loads((tmp_path / "checked.json").read_text())
    assert written == {"form": "keras", "backbone": "GPT2Backbone", "files": 1, "bytes": 5}


DENSE = keras_object(
    "keras", "Sequential", {"layers": [keras_object("keras.layers", "Dense", {"units": 2}, None)]}, None
)
CLASSIFIER = hub_object("models.bert.bert_text_classifier", "BertTextClassifier", {})
MIXTRAL = with_value(
    with_value(causal_lm(), "config.backbone", hub_object("models.mixtral.mixtral_backbone", "MixtralBackbone", {})),
    "class_name", "MixtralCausalLM",
) | {"registered_name": "keras_hub>MixtralCausalLM"}  # fmt: skip


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        (DENSE, NotCausalLM, "is a Sequential"),
        (CLASSIFIER, NotCausalLM, "is a BertTextClassifier"),
        (backbone(), NotCausalLM, "is a GPT2Backbone"),
        (MIXTRAL, UnsupportedFamily, "MixtralBackbone yet; supported families: Bloom, Falcon, GPT2"),
        (with_value(causal_lm(), "config.backbone", None), ModelDamaged, "without a backbone"),
    ],
)
def test_keras_files_of_other_kinds(tmp_path: Path, document: object, error: type[FarmError], words: str) -> None:
    write_keras(tmp_path / "source", document)
    with pytest.raises(error, match=words):
        check(tmp_path / "source")


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        (hub_object("models.bert.bert_backbone", "BertBackbone", {}), NotCausalLM, "BertBackbone, for which"),
        (hub_object("models.mixtral.mixtral_backbone", "MixtralBackbone", {}), UnsupportedFamily, "MixtralBackbone"),
        ({"model_type": "mixtral"}, UnsupportedFamily, "no mapping"),
    ],
)
def test_presets_of_other_kinds(tmp_path: Path, document: object, error: type[FarmError], words: str) -> None:
    if "model_type" in json.dumps(document):
        write_checkpoint(tmp_path / "source")
    else:
        write_preset(tmp_path / "source")
        (tmp_path / "source" / "task.json").unlink()
    (tmp_path / "source" / "config.json").write_text(json.dumps(document))
    with pytest.raises(error, match=words):
        check(tmp_path / "source")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.find(b"\x89HDF") + 600] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no zip at all"),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    ],
)
def test_a_damaged_keras_file(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_keras(tmp_path / "source")
    damage(tmp_path / "source" / "model.keras")
    with pytest.raises(ModelDamaged, match=r"model\.keras"):
        check(tmp_path / "source")


@pytest.mark.parametrize(
    "name", ["config.json", "task.json", "tokenizer.json", "model.weights.h5", "assets/tokenizer/vocabulary.json"]
)
def test_a_cut_file_of_a_preset_is_named(tmp_path: Path, name: str) -> None:
    write_preset(tmp_path / "source")
    path = tmp_path / "source" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelDamaged, match=name):
        check(tmp_path / "source")


def test_a_preset_without_weights(tmp_path: Path) -> None:
    write_preset(tmp_path / "source")
    (tmp_path / "source" / "model.weights.h5").unlink()
    with pytest.raises(ModelDamaged, match=r"no model\.weights\.h5"):
        check(tmp_path / "source")


def test_no_files(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(ModelEmpty):
        check(tmp_path / "source")
