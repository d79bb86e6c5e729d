from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farm import recipes
from farm.chat import Exchange
from farm.errors import QualityMissed, StageCrashed
from pipeline import process
from pipeline.litert_lm import processor_list, runtime
from pipeline.litert_lm.child import Asked, Outcome, Report
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import bound_models
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN
from tests.fixtures.chat_templates import SIMPLE, chat_of

CODEC = TextCodec(bound_models.byte_tokenizer().to_str().encode(), "the tests' tokenizer")


def test_tokens_become_steps_of_whole_characters() -> None:
    tokens = [*CODEC.encode("aé"), *CODEC.encode("日")[:2]]
    found = runtime.golden_steps(CODEC, tokens, [0.5, 0.5, 0.1, 0.5, 0.5], 0.2, [END_TOKEN])
    assert [(step.text, len(step.tokens), step.near_tie) for step in found.steps] == [("a", 1, False), ("é", 2, True)]
    assert not found.stops


def test_a_stop_token_ends_them() -> None:
    found = runtime.golden_steps(CODEC, [*CODEC.encode("ab"), END_TOKEN], [0.5, 0.5, 0.1], 0.2, [END_TOKEN])
    assert (len(found.steps), found.stops, found.stop_near_tie) == (2, True, True)
    assert found.rest(1) == 2


def test_what_no_text_shows_ends_the_comparison() -> None:
    tokens = [*CODEC.encode("a"), START_TOKEN, *CODEC.encode("b")]
    found = runtime.golden_steps(CODEC, tokens, [1.0] * 3, 0.0, [END_TOKEN])
    assert [step.text for step in found.steps] == ["a"]


def golden(answers: list[list[int]], margins: float = 1.0) -> dict[str, Any]:
    """A golden.json of one prompt, and a conversation with these answers."""
    chat = chat_of(SIMPLE)
    turns, exchanges = [], []
    for number, tokens in enumerate(answers):
        question = f"q{number}"
        exchanges.append(Exchange(question))
        turns.append(
            {
                "question": question, "answer": CODEC.continue_text(tokens), "tokens": tokens,
                "margins": [margins] * len(tokens), "prompt_tokens": CODEC.encode_pieces(chat.pieces(None, exchanges)),
            }
        )  # fmt: skip
        exchanges[-1] = Exchange(question, CODEC.continue_text(tokens))
    prompt = {"text": "the", "prompt_tokens": CODEC.encode("the"), "tokens": [1], "margins": [1.0]}
    return {
        "prompts": [prompt, *({**turn, "text": None} for turn in turns)],
        "conversations": [{"system": None, "thinking": False, "turns": turns}],
        "limits": {"near_tie_margin": 0.1},
    }


def plan(tmp_path: Path, answers: list[list[int]], *, chats: bool = True) -> Asked:
    info = bound_models.write_model_folder(tmp_path / "job").model_copy(update={"chat": chat_of(SIMPLE)})
    return runtime.plan(tmp_path / "model.litertlm", info, CODEC, golden(answers), 1, chats=chats)


def test_the_golden_conversation_is_asked_behind_its_history(tmp_path: Path) -> None:
    asked = plan(tmp_path, [[*CODEC.encode("yes"), END_TOKEN], CODEC.encode("no")])
    assert len(asked.prompts) == 1
    assert [(len(turn.history), turn.question) for turn in asked.turns] == [(0, "q0"), (2, "q1")]
    assert [message.content for message in asked.turns[1].history] == ["q0", "yes"]
    assert len(asked.renderings) == runtime.RENDERINGS
    assert {message.role for turn in asked.renderings for message in turn.history} == {"system", "user", "assistant"}
    bare = plan(tmp_path, [[*CODEC.encode("yes"), END_TOKEN]], chats=False)
    assert (bare.turns, bare.renderings, len(bare.prompts)) == ((), (), 1)


def test_one_conversation_goes_on_while_its_cache_holds_the_golden_tokens(tmp_path: Path) -> None:
    ended, cut = [*CODEC.encode("yes"), END_TOKEN], CODEC.encode("yes")
    assert plan(tmp_path, [ended, ended, ended]).live == 3
    assert plan(tmp_path, [ended, cut, ended]).live == 1
    assert plan(tmp_path, [cut, ended]).live == 0


def test_what_differs_is_refused_as_the_recipe_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = plan(tmp_path, [])

    def reporting(said: str) -> None:
        monkeypatch.setattr(process, "run", lambda *_args, **_options: process.Completed(said, "", 0.0))

    def told(*prompts: Outcome, turns: tuple[Outcome, ...] = (), fault: str = "") -> str:
        return "INFO: a log\n" + Report(prompts=prompts, turns=turns, template_fault=fault).model_dump_json()

    def judged(alias: str = "none") -> Report:
        return runtime.run(asked, recipes.find(alias), 0.9)

    other = Outcome(compared=10, agreed=9, difference="writes 'x' where 'y' comes")
    reporting(told(Outcome(compared=3, agreed=3)))
    assert judged().prompts[0].compared == 3
    reporting(told(other))
    with pytest.raises(QualityMissed, match="does not follow a golden prompt: it writes 'x' where 'y' comes; report"):
        judged()
    assert judged("int8").prompts[0].agreed == 9
    reporting(told(Outcome(compared=9, agreed=9), turns=(other.model_copy(update={"agreed": 8}),)))
    with pytest.raises(
        QualityMissed, match=r"at 17 of 19 decisive steps, 89\.5% where the recipe int8 asks for 90%: it"
    ):
        judged("int8")
    with pytest.raises(QualityMissed, match="the golden conversation"):
        judged()
    reporting(told(Outcome(fault="reads 'x' as y")))
    with pytest.raises(QualityMissed, match="does not follow a golden prompt: it reads 'x' as y"):
        judged("int8")
    reporting(told(Outcome(), turns=(other,), fault="it reads 'x'"))
    assert judged().template_fault == "it reads 'x'"
    for said in ("", "{}", told()):
        reporting(said)
        with pytest.raises(StageCrashed, match="gave no report"):
            judged()


def test_what_keeps_litert_lm_from_running_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor_list, "PATH", tmp_path)
    assert "which is not to be seen here" in str(runtime.missing())
    monkeypatch.setattr(processor_list, "PATH", Path(__file__))
    assert runtime.missing() is None
    monkeypatch.setattr(runtime, "PACKAGE", "no_such_package")
    assert runtime.missing() == "the package litert-lm-api is not installed here"
