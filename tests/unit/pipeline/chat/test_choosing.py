from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.appspec import AppSpec
from farm.errors import ChatTemplateUnusable
from farm.jobspec import IoMode
from farm.prompting import Mode
from pipeline.chat.choosing import Choice, choose
from pipeline.models.metadata import Metadata
from pipeline.tokenizers.export import TokenizerExport
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN
from tests.fixtures.chat_templates import IN_QUESTION, SIMPLE, THINKS, codec, extract_here

EXPORT = TokenizerExport(b"", "byte-level-bpe", None, codec("<think>", "</think>"), START_TOKEN, 7, (7,))


def chosen(
    folder: Path, template: str | None, *, io_mode: IoMode = IoMode.TOKENS, said: dict[str, Any] | None = None,
    export: TokenizerExport = EXPORT, **app: Any,
) -> Choice:  # fmt: skip
    if template is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "bos_token": "<|start|>"}))
    metadata = Metadata.model_validate(said or {})
    return choose(AppSpec(**app), io_mode, folder, metadata, export, "Llama", "a model", extract=extract_here)


def test_a_model_with_a_template_chats(tmp_path: Path) -> None:
    choice = chosen(tmp_path, IN_QUESTION)
    assert choice.prompting.mode is Mode.CHAT
    assert choice.chat is not None
    assert choice.chat.source == "tokenizer_config.json"
    # The start token comes before every prompt.
    assert choice.prompting.prompt_template == "[user]{prompt}<|end|>\n[assistant]"
    assert choice.notes == ()


def test_the_end_of_a_turn_ends_an_answer(tmp_path: Path) -> None:
    assert chosen(tmp_path, IN_QUESTION).export.stop_tokens == (*sorted({7, END_TOKEN}),)


def test_a_model_without_a_template_goes_on_as_it_was(tmp_path: Path) -> None:
    choice = chosen(tmp_path, None)
    assert (choice.prompting.mode, choice.chat, choice.notes) == (Mode.COMPLETE, None, ())


@pytest.mark.parametrize("by_metadata", [True, False])
def test_what_is_said_of_the_mode_wins_and_the_chat_stays_usable(by_metadata: bool, tmp_path: Path) -> None:
    said = {"mode": "complete"} if by_metadata else {}
    app: Any = {} if by_metadata else {"mode": Mode.COMPLETE}
    choice = chosen(tmp_path, SIMPLE, said=said, **app)
    assert choice.prompting.mode is Mode.COMPLETE
    assert choice.prompting.prompt_template == "{prompt}"
    assert choice.chat is not None


def test_instruct_takes_the_chats_first_question(tmp_path: Path) -> None:
    prompting = chosen(tmp_path, SIMPLE, mode=Mode.INSTRUCT).prompting
    assert prompting.prompt_template == "[user]{prompt}<|end|>\n[assistant]"


def test_a_template_of_ones_own_stays(tmp_path: Path) -> None:
    prompting = chosen(tmp_path, SIMPLE, prompt_template="Q {prompt} A").prompting
    assert (prompting.mode, prompting.prompt_template) == (Mode.INSTRUCT, "Q {prompt} A")


def test_a_missing_start_token_is_said(tmp_path: Path) -> None:
    assert "without the model's start token '<|start|>'" in chosen(tmp_path, SIMPLE).notes[0]


def test_an_unusable_template_is_said_and_the_job_goes_on(tmp_path: Path) -> None:
    choice = chosen(tmp_path, "{% if %}")
    assert choice.chat is None
    assert choice.prompting.mode is Mode.COMPLETE
    assert choice.notes[0].startswith("The model's chat template is not used: line 1 is no Jinja")


@pytest.mark.parametrize("app", [{"mode": Mode.CHAT}, {"chat_template": "{% if %}"}])
def test_an_unusable_template_ends_a_job_that_asked_for_a_chat(app: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateUnusable, match="line 1 is no Jinja"):
        chosen(tmp_path, "{% if %}", **app)


def test_a_chat_needs_a_template(tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateUnusable, match="has none in the farm's table"):
        choose(
            AppSpec(mode=Mode.CHAT), IoMode.TOKENS, tmp_path, Metadata(), EXPORT, "GPT2", "gpt2", extract=extract_here
        )


def test_a_chat_needs_a_tokenizer(tmp_path: Path) -> None:
    without = TokenizerExport(b"", None, "none", None, None, None)
    assert chosen(tmp_path, SIMPLE, export=without).chat is None
    with pytest.raises(ChatTemplateUnusable, match="no tokenizer of this model's kind"):
        chosen(tmp_path, SIMPLE, export=without, mode=Mode.CHAT)


def test_an_app_that_takes_texts_has_no_chat(tmp_path: Path) -> None:
    choice = chosen(tmp_path, SIMPLE, io_mode=IoMode.STRINGS)
    assert choice.chat is None
    assert "I/O mode strings" in choice.notes[0]


def test_thinking_is_turned_on_where_the_template_can(tmp_path: Path) -> None:
    chat = chosen(tmp_path, THINKS, thinking=True).chat
    assert chat is not None
    assert chat.thinking is not None
    assert chat.thinking.wanted
    with pytest.raises(ChatTemplateUnusable, match="no thoughts to turn on"):
        chosen(tmp_path, SIMPLE, thinking=True)
