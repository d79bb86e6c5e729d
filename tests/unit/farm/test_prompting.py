"""How a model wants to be spoken to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from farm.appspec import AppSpec
from farm.errors import BadPromptTemplate
from farm.prompting import LONGEST_TEMPLATE, Mode, Prompting

ASKED = Prompting(mode=Mode.INSTRUCT, prompt_template="Question: {prompt}\nAnswer:", prompts=("What is a list?",))


def test_a_model_without_a_word_on_it_continues_texts() -> None:
    assert Prompting().fill("Once") == "Once"
    assert Prompting().question("Once") == "Once"


def test_the_template_takes_the_question_letter_for_letter_and_gives_it_back() -> None:
    for question in ("What is {prompt}?", "{0} {} %s", "", "a\nb"):
        filled = ASKED.fill(question)
        assert filled == f"Question: {question}\nAnswer:"
        assert ASKED.question(filled) == question
    assert ASKED.question("Something else") is None
    assert Prompting(mode=Mode.INSTRUCT, prompt_template="aa{prompt}aa").question("aaa") is None


@pytest.mark.parametrize(
    "template", ["no place", "{prompt} and {prompt}", "{prompt}" + "x" * LONGEST_TEMPLATE, "{prompt}\0", ""]
)
def test_a_bad_template_is_refused(template: str) -> None:
    with pytest.raises(BadPromptTemplate, match=r"; shorten it\.|must hold \{prompt\} once"):
        AppSpec(mode=Mode.INSTRUCT, prompt_template=template)


def test_what_a_job_wishes_comes_before_what_the_model_says() -> None:
    assert AppSpec().prompting(ASKED) == ASKED
    assert AppSpec(mode=Mode.COMPLETE).prompting(ASKED).fill("x") == "x"
    assert AppSpec(mode=Mode.INSTRUCT).prompting(Prompting()).mode is Mode.INSTRUCT
    changed = AppSpec(prompt_template="Q {prompt} A").prompting(Prompting())
    assert (changed.mode, changed.fill("x")) == (Mode.INSTRUCT, "Q x A")
    assert AppSpec(prompt_template="Q {prompt} A").prompting(ASKED).prompts == ASKED.prompts


def test_a_template_has_no_place_in_the_mode_complete() -> None:
    with pytest.raises(BadPromptTemplate, match="applies to the modes instruct and chat only"):
        AppSpec(mode=Mode.COMPLETE, prompt_template="Q {prompt} A")


@pytest.mark.parametrize("prompts", [("",), ("x" * 201,), ("a\nb",), tuple("abcdefghi")])
def test_suggested_prompts_are_few_and_short(prompts: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Prompting(prompts=prompts)


def test_a_jobs_own_prompts_go_before_the_models() -> None:
    own = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt}", prompts=("Theirs?",))
    assert own.changed(None, None).prompts == ("Theirs?",)
    assert AppSpec(prompts=("Mine?",)).prompting(own).prompts == ("Mine?",)
