"""What a model's metadata say of how it wants to be spoken to."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from farm.errors import ModelDamaged
from farm.modelref import ModelKind, ModelRef
from farm.prompting import Mode, Prompting
from pipeline.models import metadata
from pipeline.models.metadata import Metadata

SAID = {"mode": "instruct", "prompt_template": "Q: {prompt}\nA:", "prompts": ["What is a list?"], "licence": "PSF-2.0"}


def test_a_preset_says_it_in_its_metadata(tmp_path: Path) -> None:
    assert metadata.read(tmp_path) == Metadata()
    (tmp_path / "metadata.json").write_text(json.dumps({"keras_version": "3", "farm": SAID | {"recipe": "int8"}}))
    found = metadata.read(tmp_path)
    assert (found.mode, found.prompts) == (Mode.INSTRUCT, ("What is a list?",))
    assert found.fill("x") == "Q: x\nA:"
    assert type(found.prompting) is Prompting
    assert found.licence == "PSF-2.0"
    assert found.options == {"recipe": "int8"}


def test_a_keras_file_says_it_in_its_metadata(tmp_path: Path) -> None:
    for content, mode in (({"farm": SAID}, Mode.INSTRUCT), ({}, Mode.COMPLETE)):
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", json.dumps(content))
        assert metadata.read(tmp_path).mode is mode


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"mode": "talk"}, r"wrong at farm\.mode"),
        ({"mode": "instruct", "prompt_template": "none"}, r"must hold \{prompt\} once"),
        ({"prompts": ["x"] * 9}, r"wrong at farm\.prompts"),
        ({"licence": ""}, r"wrong at farm\.licence"),
        ({"prompts": [7]}, r"wrong at farm\.prompts\.0"),
        ([1], "no table"),
        ("instruct", "no table"),
        ({"promts": ["x"]}, "unknown key promts; did you mean prompts"),
        ({"password_source": "env:X"}, "sets password_source"),
    ],
)
def test_what_the_farm_does_not_know_is_refused(said: Any, place: str) -> None:
    with pytest.raises(ModelDamaged, match=place):
        metadata.parse(json.dumps({"farm": said}).encode())


def test_a_local_model_may_ask_for_options_of_its_jobs(tmp_path: Path) -> None:
    said = {"farm": SAID | {"recipe": "int8", "label": "Story"}}
    (tmp_path / "metadata.json").write_text(json.dumps(said))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", json.dumps(said))
    for ref in (ModelRef(ModelKind.FOLDER, str(tmp_path)), ModelRef(ModelKind.KERAS_FILE, f"{tmp_path}/model.keras")):
        assert metadata.options_of(ref).values == {"recipe": "int8", "label": "Story"}
    assert metadata.options_of(ModelRef(ModelKind.HUGGINGFACE, "hf://a/b")).values == {}


def test_metadata_of_another_kind_say_nothing() -> None:
    assert metadata.parse(b"[]") == Metadata()


def test_what_is_not_read_of_a_fetched_model_is_said() -> None:
    said = metadata.parse(json.dumps({"farm": SAID | {"recipe": "int8"}}).encode())
    [note] = metadata.unread_options(ModelRef(ModelKind.HUGGINGFACE, "hf://a/b"), said)
    assert "ask for recipe," in note
    assert metadata.unread_options(ModelRef(ModelKind.UPLOADED, "b"), said) == ()
    plain = metadata.parse(json.dumps({"farm": SAID}).encode())
    assert metadata.unread_options(ModelRef(ModelKind.HUGGINGFACE, "hf://a/b"), plain) == ()
