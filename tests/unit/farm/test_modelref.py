from __future__ import annotations

import re
from pathlib import Path

import pytest

from farm import locations, modelref
from farm.errors import ModelNotFound
from farm.modelref import ModelKind, ModelRef


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("gpt2_base_en", ModelKind.PRESET),
        ("kaggle://keras/gpt2/keras/gpt2_base_en", ModelKind.KAGGLE),
        ("hf://openai-community/gpt2", ModelKind.HUGGINGFACE),
    ],
)
def test_hub_references_are_kept_as_they_are(text: str, kind: ModelKind, tmp_path: Path) -> None:
    assert modelref.parse(text, tmp_path) == ModelRef(kind, text)
    assert not kind.local


def test_a_folder_and_a_file_become_absolute(tmp_path: Path) -> None:
    (tmp_path / "preset").mkdir()
    (tmp_path / "my.keras").touch()
    assert modelref.parse("preset", tmp_path) == ModelRef(ModelKind.FOLDER, str(tmp_path / "preset"))
    assert modelref.parse("my.keras", tmp_path) == ModelRef(ModelKind.KERAS_FILE, str(tmp_path / "my.keras"))
    assert modelref.parse(str(tmp_path / "preset")).kind.local


def test_examples_are_found_from_anywhere(tmp_path: Path) -> None:
    expected = str(locations.EXAMPLES / "tiny_gpt2")
    assert modelref.parse("examples/tiny_gpt2", tmp_path) == ModelRef(ModelKind.FOLDER, expected)


def test_an_own_folder_comes_before_the_repository_s_example(tmp_path: Path) -> None:
    (tmp_path / "examples" / "tiny_gpt2").mkdir(parents=True)
    assert modelref.parse("examples/tiny_gpt2", tmp_path).value == str(tmp_path / "examples" / "tiny_gpt2")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("org/name", "hf://org/name"),
        ("HuggingFaceTB/SmolLM2-135M", "hf://HuggingFaceTB/SmolLM2-135M"),
        ("https://huggingface.co/org/name", "hf://org/name"),
        ("https://huggingface.co/org/name/tree/main", "hf://org/name"),
        ("https://hf.co/org/name?x=1", "hf://org/name"),
        ("https://www.kaggle.com/models/keras/gpt2/keras/gpt2_base_en/2", "kaggle://keras/gpt2/keras/gpt2_base_en/2"),
    ],
)
def test_a_hubs_page_or_name_gets_its_address(text: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=f"did you mean {re.escape(meant)}\\?$"):
        modelref.parse(text, tmp_path)
    assert modelref.parse(meant).kind.on_hub


@pytest.mark.parametrize("text", ["https://example.org/x", "http://huggingface.co/", "https://www.kaggle.com/models"])
def test_another_page_is_no_model(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="a page and no model; give hf://"):
        modelref.parse(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("my/stroy", "my/story"), ("my/stroy/", "my/story"), ("my/poem.kera", "my/poem.keras"), ("stroy.keras", None),
     ("examples/tiny_gp2", "examples/tiny_gpt2")],
)  # fmt: skip
def test_a_path_with_a_typing_error_gets_the_closest(text: str, meant: str | None, tmp_path: Path) -> None:
    (tmp_path / "my" / "story").mkdir(parents=True)
    (tmp_path / "my" / "poem.keras").touch()
    with pytest.raises(ModelNotFound) as refused:
        modelref.parse(text, tmp_path)
    hint = f"did you mean {meant}?" if meant else "give a preset folder"
    assert hint in refused.value.sentence


def test_a_name_below_a_folder_of_this_machine_is_no_hubs(tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    with pytest.raises(ModelNotFound, match="There is no model at my/none; give a preset folder"):
        modelref.parse("my/none", tmp_path)


@pytest.mark.parametrize("text", ["examples/none", "missing.keras", "/no/such/model", "../x/y", "a b"])
def test_what_leads_nowhere_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="give a preset folder"):
        modelref.parse(text, tmp_path)


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        (ModelRef(ModelKind.FOLDER, "/models/story"), "story"),
        (ModelRef(ModelKind.KERAS_FILE, "/models/story.keras"), "story"),
        (ModelRef(ModelKind.KAGGLE, "kaggle://keras/gpt2/keras/gpt2_base_en"), "gpt2_base_en"),
        (ModelRef(ModelKind.PRESET, "qwen2.5_0.5b_en"), "qwen2.5_0.5b_en"),
    ],
)
def test_short_names(ref: ModelRef, name: str) -> None:
    assert ref.short_name == name
