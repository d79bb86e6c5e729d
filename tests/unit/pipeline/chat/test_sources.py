from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm.chat import Exchange
from pipeline.chat import families, sources
from pipeline.chat.extraction import extract
from pipeline.chat.rendering import TemplateRefused, TemplateText

CONFIG = "tokenizer_config.json"


def write(folder: Path, **config: object) -> None:
    (folder / CONFIG).write_text(json.dumps(config))


def test_a_model_without_a_template_has_none(tmp_path: Path) -> None:
    assert sources.find_template(tmp_path, None, "<s>") is None


def test_the_files_tokens_go_with_the_template(tmp_path: Path) -> None:
    write(tmp_path, chat_template="T", bos_token={"content": "<b>"}, eos_token="<e>")  # noqa: S106
    found = sources.find_template(tmp_path, None, "<s>")
    assert found == sources.FoundTemplate(TemplateText("T", {"bos_token": "<b>", "eos_token": "<e>"}), CONFIG)


def test_the_jinja_file_wins_over_json_and_what_is_handed_in_over_all(tmp_path: Path) -> None:
    write(tmp_path, chat_template="in the config")
    (tmp_path / "chat_template.json").write_text('{"chat_template": "in JSON"}')
    texts = []
    for _ in range(2):
        found = sources.find_template(tmp_path, None, None)
        assert found is not None
        texts.append((found.template.text, found.source))
        (tmp_path / "chat_template.jinja").write_text("\ufeffin its file")
    assert texts == [("in JSON", "chat_template.json"), ("in its file", "chat_template.jinja")]
    own = sources.find_template(tmp_path, "my own", "<s>")
    assert own == sources.FoundTemplate(TemplateText("my own", {"bos_token": "<s>"}), "--chat-template")


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    both = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    write(tmp_path, chat_template=both)
    found = sources.find_template(tmp_path, None, None)
    assert found is not None
    assert found.template.text == "D"
    write(tmp_path, chat_template=[{"name": "a", "template": "A"}, {"name": "b", "template": "B"}])
    with pytest.raises(TemplateRefused, match="has 2 templates, none of which is named 'default'"):
        sources.find_template(tmp_path, None, None)


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"{{ \xff }}")
    with pytest.raises(TemplateRefused, match="is not UTF-8"):
        sources.find_template(tmp_path, None, None)


@pytest.mark.parametrize("row", families.ROWS, ids=lambda row: row.names)
def test_every_row_of_the_table_is_expressed_by_pieces(row: families.TemplateRow) -> None:
    chat = extract(TemplateText(row.template), row.family).chat
    said = "".join(map(str, chat.pieces(None, [Exchange("q", "a"), Exchange("r")])))
    assert said.count("q") == 1


@pytest.mark.parametrize(
    ("family", "name", "asked", "names"),
    [
        ("Gemma", "gemma2_instruct_2b_en", False, True),
        ("Gemma", "gemma2_2b_en", False, False),
        ("Gemma", "gemma2_2b_en", True, True),
        ("Mistral", "mistral_0.2_instruct_7b_en", False, True),
        ("GPT2", "gpt2_base_en", True, False),
    ],
)
def test_instruct_models_are_known_by_their_name(family: str, name: str, asked: bool, names: bool) -> None:
    assert (sources.of_family(family, name, asked=asked) is not None) == names


def test_the_versions_of_a_family_differ() -> None:
    texts = {
        name: sources.of_family("Mistral", name, asked=False) for name in ("mistral_instruct", "mistral_0.3_instruct")
    }
    assert len({found.template.text for found in texts.values() if found}) == 2
