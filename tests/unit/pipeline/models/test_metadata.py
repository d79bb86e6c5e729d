"""What a model's metadata say of how it wants to be spoken to."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from farm.errors import ModelDamaged
from farm.prompting import Mode, Prompting
from pipeline.models import metadata
from pipeline.models.metadata import Metadata

SAID = {"mode": "instruct", "prompt_template": "Q: {prompt}\nA:", "prompts": ["What is a list?"], "licence": "PSF-2.0"}


def test_a_preset_says_it_in_its_metadata(tmp_path: Path) -> None:
    assert metadata.read(tmp_path) == Metadata()
    (tmp_path / "metadata.json").write_text(json.dumps({"keras_version": "3", "farm": SAID | {"later": 1}}))
    found = metadata.read(tmp_path)
    assert (found.mode, found.prompts) == (Mode.INSTRUCT, ("What is a list?",))
    assert found.fill("x") == "Q: x\nA:"
    assert type(found.prompting) is Prompting
    assert found.licence == "PSF-2.0"


def test_a_keras_file_says_it_in_its_metadata(tmp_path: Path) -> None:
    for content, mode in (({"farm": SAID}, Mode.INSTRUCT), ({}, Mode.COMPLETE)):
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", json.dumps(content))
        assert metadata.read(tmp_path).mode is mode


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"mode": "chat"}, r"wrong at farm\.mode"),
        ({"mode": "instruct", "prompt_template": "none"}, r"must hold \{prompt\} once"),
        ({"prompts": ["x"] * 9}, r"wrong at farm\.prompts"),
        ({"licence": ""}, r"wrong at farm\.licence"),
        ({"prompts": [7]}, r"wrong at farm\.prompts\.0"),
        ([1], "wrong at farm"),
        ("instruct", "wrong at farm"),
    ],
)
def test_what_the_farm_does_not_know_is_refused(said: Any, place: str) -> None:
    with pytest.raises(ModelDamaged, match=place):
        metadata.parse(json.dumps({"farm": said}).encode())


def test_metadata_of_another_kind_say_nothing() -> None:
    assert metadata.parse(b"[]") == Metadata()
