"""The app's answers against the golden prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.errors import ArtifactDamaged, HostMismatch
from pipeline.android import golden, host_run
from pipeline.android.golden import Golden, GoldenConversation, GoldenLimits, GoldenPrompt, GoldenTurn
from pipeline.android.host_run import Following, HostAnswer, SpecialTokens, Verdict
from pipeline.inference.reference import PromptReference, Reference

START, END = 1, 2
SPECIAL = SpecialTokens(START, (END,))
PROMPT = GoldenPrompt(text="Hi", prompt_tokens=(1, 7, 8), tokens=(20, 21, 22), margins=(3.0, 0.001, 2.0))
GOLDEN = Golden(format=1, prompts=(PROMPT,), limits=GoldenLimits(near_tie=1e-3))
TIE = 0.01


def _answer(tokens: tuple[int, ...], ids: tuple[int, ...] | None = (7, 8)) -> HostAnswer:
    return HostAnswer(ids, tokens, prefill_seconds=0.1, decode_seconds=0.2)


def test_equal_tokens_agree() -> None:
    assert host_run.judge(0, PROMPT, _answer((20, 21, 22)), SPECIAL, TIE) == Verdict(agreed=3, near_tie=None)


def test_another_token_is_named_with_prompt_and_step() -> None:
    with pytest.raises(HostMismatch, match=r"leaves golden prompt 4 at step 0: token 9 where 20 is right"):
        host_run.judge(4, PROMPT, _answer((9, 21, 22)), SPECIAL, TIE)
    with pytest.raises(HostMismatch, match=r"at step 2: token the end where 22 is right"):
        host_run.judge(4, PROMPT, _answer((20, 21)), SPECIAL, TIE)


def test_a_tie_ends_the_comparison_where_two_tokens_are_as_good() -> None:
    assert host_run.judge(0, PROMPT, _answer((20, 99, 98)), SPECIAL, TIE) == Verdict(agreed=1, near_tie=1)


def test_the_tokenizer_is_held_against_the_prompt_without_its_start_token() -> None:
    host_run.require_tokens(0, PROMPT, _answer(()), START)
    host_run.require_tokens(0, PROMPT, _answer((), None), START)
    with pytest.raises(HostMismatch, match=r"golden prompt 0 otherwise from token 1 on: 9 where 8 is right"):
        host_run.require_tokens(0, PROMPT, _answer((), (7, 9)), START)
    with pytest.raises(HostMismatch, match=r"from token 0 on: 7 where 1 is right"):
        host_run.require_tokens(0, PROMPT, _answer(()), None)


KERAS = PromptReference("Hi", (1, 7, 8), greedy=(20, 21, 22), margins=(3.0, 0.001, 2.0))
NOTHING: Any = np.zeros(2)
REFERENCE = Reference((KERAS,), NOTHING, NOTHING, NOTHING)


def test_steps_on_keras_own_path_are_counted_without_near_ties() -> None:
    assert host_run.follow(KERAS, (20, 99, 22), TIE) == Following(compared=2, agreed=2, near_ties=1)
    assert host_run.follow(KERAS, (20, 21, 99), TIE) == Following(compared=2, agreed=1, near_ties=1)
    with pytest.raises(HostMismatch, match="did not follow"):
        host_run.follow(KERAS, (20, 21), TIE)


def test_the_recipe_says_how_many_steps_may_differ() -> None:
    followed = [Following(10, 9, 0), Following(10, 9, 3)]
    host_run.require_agreement(followed, 0.9, "int8")
    with pytest.raises(HostMismatch, match=r"at 18 of 20 decisive steps, 90\.0% where the recipe none asks for 100%"):
        host_run.require_agreement(followed, 1.0, "none")
    host_run.require_agreement([Following(0, 0, 3)], 1.0, "none")


def test_an_end_token_that_was_written_down_does_not_count() -> None:
    prompt = PROMPT.model_copy(update={"tokens": (20, END)})
    assert prompt.steps == 3
    assert host_run.judge(0, prompt, _answer((20,)), SPECIAL, TIE).agreed == 1


def test_the_commands_are_json_lines_in_order() -> None:
    bare = PROMPT.model_copy(update={"text": None})
    golden_prompts = GOLDEN.model_copy(update={"prompts": (PROMPT, bare)})
    lines = host_run.commands(Path("/a.apk"), golden_prompts, REFERENCE, 2, Path("/s")).decode().splitlines()
    assert [json.loads(line)["cmd"] for line in lines] == ["open", "tokenize", "generate", "generate", "score", "quit"]
    scored = {"cmd": "score", "tokens": [1, 7, 8, 20, 21], "from": 2, "logits": "/s/logits-0.f32"}
    assert json.loads(lines[4]) == scored
    assert json.loads(lines[0]) == {"cmd": "open", "apk": "/a.apk", "threads": 2}
    assert json.loads(lines[2]) == {"cmd": "generate", "prompt_tokens": [1, 7, 8], "max_new_tokens": 3}


def test_answers_are_read_in_the_order_of_the_commands(tmp_path: Path) -> None:
    np.array([[0, 2, 1], [0, 1, 2], [3, 2, 1]], "<f4").tofile(tmp_path / "logits-0.f32")
    run = {"tokens": [20], "prefill_seconds": 0.5, "decode_seconds": 0.25, "margins": [1.0]}
    output = "\n".join(map(json.dumps, ({"threads": 2}, {"ids": [7, 8]}, run, {"rows": 3, "vocabulary_size": 3})))
    wanted = (HostAnswer((7, 8), (20,), 0.5, 0.25, likeliest=(1, 2, 0)),)
    assert host_run.read_answers(output, GOLDEN, REFERENCE, tmp_path) == wanted
    assert list(tmp_path.iterdir()) == []


TALK = GoldenConversation(
    turns=(
        GoldenTurn(question="one", prompt_tokens=(1, 7), answer="two"),
        GoldenTurn(question="six", prompt_tokens=(1, 7, 8), answer="x"),
    )
)


def test_a_conversation_is_asked_for_turn_by_turn(tmp_path: Path) -> None:
    talking = GOLDEN.model_copy(update={"prompts": (), "conversations": (TALK,)})
    nothing = Reference((), NOTHING, NOTHING, NOTHING)
    lines = host_run.commands(Path("/a.apk"), talking, nothing, 2, Path("/s")).decode().splitlines()
    asked = [json.loads(line) for line in lines[1:-1]]
    assert [command["cmd"] for command in asked] == ["conversation"] * 2
    assert asked[1]["turns"] == [{"question": "one", "answer": "two"}, {"question": "six", "answer": None}]
    answers = [{"threads": 2}, {"ids": [1, 7]}, {"ids": [1, 7, 8]}]
    assert host_run.read_answers("\n".join(map(json.dumps, answers)), talking, nothing, tmp_path) == ()
    answers[2] = {"ids": [1, 7, 9]}
    with pytest.raises(HostMismatch, match=r"reads turn 2 of .* otherwise from token 2 on: 9 where 8"):
        host_run.read_answers("\n".join(map(json.dumps, answers)), talking, nothing, tmp_path)


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(HostMismatch, match=r"refuses the package: There is no asset x\.$"):
        host_run.read_answers('{"error": "There is no asset x."}\n', GOLDEN, REFERENCE, Path("/s"))


@pytest.mark.parametrize("output", ["", "{}", "{}\n{}", "no json", "{}\n[]"])
def test_too_little_is_a_mismatch(output: str) -> None:
    with pytest.raises(HostMismatch, match="no usable answer"):
        host_run.read_answers(output, GOLDEN, REFERENCE, Path("/s"))


def test_golden_json_is_read_with_what_it_holds_besides(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    prompt = {**PROMPT.model_dump(), "keras_tokens": [1], "completion": " there"}
    path.write_text(
        json.dumps({"format": 1, "recipe": "none", "prompts": [prompt], "figures": {}, "limits": {"near_tie": 1e-3}})
    )
    assert golden.read(path) == GOLDEN


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 2, "prompts": []}', '{"format": 1, "prompts": []}', '{"format": 1, "prompts": [{}]}']
)
def test_a_golden_json_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(ArtifactDamaged, match=r"golden\.json is damaged at"):
        golden.read(tmp_path / "golden.json")
