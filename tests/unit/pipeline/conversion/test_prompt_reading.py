from __future__ import annotations

import dataclasses

import pytest

from farm.jobspec import IoMode, JobSpec, SpecialTokens, TokenizerGraph
from farm.modelref import ModelKind
from farm.prompting import Mode, Prompting
from pipeline.conversion.prompt_reading import prompt_reading
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.export import TokenizerExport
from tests.fixtures import bound_models

TOKENIZER = bound_models.byte_tokenizer()
START, END = (TOKENIZER.get_vocab()[token] for token in ("<|start|>", "<|end|>"))
EXPORT = TokenizerExport(
    b"", "byte-level-bpe", None, TextCodec(TOKENIZER.to_str().encode(), "tests"), START, END, (END,)
)
PLAIN, CHAT = Prompting(), Prompting(mode=Mode.INSTRUCT, prompt_template="<|end|>{prompt}")


def spec(**given: object) -> JobSpec:
    return JobSpec.model_validate({"model_kind": ModelKind.FOLDER, "model": "/models/a"} | given)


@pytest.mark.parametrize(
    ("given", "prompting", "special_tokens", "noted"),
    [
        ({"io_mode": IoMode.BYTES}, PLAIN, SpecialTokens.TEXT, False),
        ({"io_mode": IoMode.STRINGS}, CHAT, SpecialTokens.TEXT, True),
        ({"io_mode": IoMode.STRINGS, "special_tokens": SpecialTokens.READ}, CHAT, SpecialTokens.READ, False),
        ({"io_mode": IoMode.BYTES, "special_tokens": SpecialTokens.READ}, PLAIN, SpecialTokens.READ, False),
        # The app's tokenizer follows the template, else the job.
        ({}, PLAIN, SpecialTokens.TEXT, False),
        ({"special_tokens": SpecialTokens.READ}, PLAIN, SpecialTokens.READ, False),
        ({}, CHAT, SpecialTokens.READ, False),
        ({"io_mode": IoMode.STRINGS, "tokenizer_graph": TokenizerGraph.TFTEXT}, CHAT, None, False),
    ],
)
def test_prompts_are_read_as_the_file_or_its_app_reads_them(
    given: dict[str, object], prompting: Prompting, special_tokens: SpecialTokens | None, noted: bool
) -> None:
    found = prompt_reading(spec(**given), EXPORT, prompting)
    assert found.special_tokens is special_tokens
    assert bool(found.notes) == noted
    tokens = found.read("<|end|>")
    assert tokens[0] == START
    assert (tokens[1:] == [END]) == (special_tokens is not SpecialTokens.TEXT)


def test_a_token_of_prompts_that_is_read_as_text_is_named() -> None:
    found = prompt_reading(spec(), dataclasses.replace(EXPORT, stop_tokens=(END + 1,)), PLAIN)
    assert "<|end|> in a prompt is read as text" in found.notes[0]


def test_without_a_tokenizer_nothing_is_read() -> None:
    found = prompt_reading(spec(), dataclasses.replace(EXPORT, tokenizer=None), CHAT)
    assert (found.special_tokens, found.notes) == (None, ())


def test_thousands_of_special_tokens_do_not_copy_the_vocabulary_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ids(_codec: TextCodec) -> dict[str, int]:
        asked.append(1)
        return {}

    monkeypatch.setattr(TextCodec, "special_tokens", property(lambda _codec: tuple(f"<{n}>" for n in range(6000))))
    monkeypatch.setattr(TextCodec, "ids", property(ids))
    prompt_reading(spec(), EXPORT, PLAIN)
    assert len(asked) == 1
