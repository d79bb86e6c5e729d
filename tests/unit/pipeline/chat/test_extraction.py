from __future__ import annotations

import pytest

from farm.chat import SystemPlace, Trim
from pipeline.chat.extraction import Extraction, Unfit, extract
from pipeline.chat.rendering import TemplateRefused, TemplateText
from tests.fixtures.chat_templates import DEFAULT, IN_QUESTION, NO_SYSTEM, OPENED, SIMPLE, START, THINKS


def found(template: str) -> Extraction:
    return extract(TemplateText(template, {"bos_token": START, "eos_token": "<|end|>"}), "tests")


def test_turns_are_taken_apart() -> None:
    chat = found(SIMPLE).chat
    assert (chat.user.before, chat.user.after) == (("[user]",), ("<|end|>\n",))
    assert (chat.assistant.before, chat.assistant.after) == (("[assistant]",), ("<|end|>\n",))
    assert (chat.begin, chat.no_system, chat.generation) == ((), (), ("[assistant]",))
    assert chat.system is not None
    assert (chat.system.place, chat.system.before, chat.system.after) == (
        SystemPlace.TURN,
        ("[system]",),
        ("<|end|>\n",),
    )


def test_a_default_system_text_is_shown() -> None:
    chat = found(DEFAULT).chat
    assert (chat.no_system, chat.default_system) == (("[system]Be kind.<|end|>\n",), "Be kind.")


def test_a_system_text_may_be_a_part_of_the_first_question() -> None:
    chat = found(IN_QUESTION).chat
    assert chat.begin == (START,)
    assert chat.system is not None
    assert (chat.system.place, chat.system.after, chat.system.trim) == (SystemPlace.QUESTION, ("\n\n",), Trim.NONE)
    assert (chat.user.trim, chat.assistant.trim, chat.system.question_trim) == (Trim.BOTH,) * 3


def test_a_template_without_a_system_text_says_why() -> None:
    extraction = found(NO_SYSTEM)
    assert extraction.chat.system is None
    assert extraction.notes == ('The template takes no system text: it says "no system, please".',)


@pytest.mark.parametrize(
    ("filters", "trim"), [("", Trim.NONE), (".strip()", Trim.BOTH), (".lstrip()", Trim.START), (".rstrip()", Trim.END)]
)
def test_the_trim_of_each_role_is_found(filters: str, trim: Trim) -> None:
    text = f"{{{{ m.content{filters} if m.role == 'assistant' else m.content }}}}"
    chat = found(SIMPLE.replace("{{ m.content }}", text)).chat
    assert (chat.assistant.trim, chat.user.trim) == (trim, Trim.NONE)


def test_thinking_is_another_end_of_the_prompt() -> None:
    thinking = found(THINKS).thinking
    assert thinking is not None
    assert (thinking.generation, thinking.opened, thinking.always) == ("[assistant]", False, False)
    assert found(THINKS).chat.generation == ("[assistant]<think>\n\n</think>\n\n",)


def test_a_model_that_always_thinks_begins_inside_of_a_thought() -> None:
    thinking = found(OPENED).thinking
    assert thinking is not None
    assert (thinking.opened, thinking.always) == (True, True)


def test_a_text_that_asks_for_nothing_may_end_in_another_way() -> None:
    chat = found(SIMPLE.replace("{% endif %}", "{% else %}{{ eos_token }}{% endif %}")).chat
    assert (chat.user.after, chat.assistant.after) == (("<|end|>\n",), ("<|end|>\n",))


def test_a_prompt_that_always_asks_is_part_of_the_question() -> None:
    chat = found(SIMPLE.replace("{% if add_generation_prompt %}", "{% if true %}")).chat
    assert "".join(map(str, (*chat.user.after, *chat.generation))) == "<|end|>\n[assistant]"
    assert chat.assistant.after == ("<|end|>\n",)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("always the same", "leaves out a turn's text"),
        ("{{ messages[-1].content }}", "leaves out a turn's text"),
        (SIMPLE.replace("{{ m.content }}", "{{ m.content + m.content }}"), "repeats it"),
        (SIMPLE.replace("{{ m.content }}", "{{ m.content | upper }}"), "leaves out a turn's text"),
        (SIMPLE.replace("{{ m.content }}", "{{ m.content | replace(' ', '_') }}"), "more than white space at its ends"),
        (SIMPLE.replace("{{ m.content }}", "{{ m.content }}{{ m.content | length }}"), "more than white space"),
        (SIMPLE.replace("[{{ m.role }}]", "[{{ loop.index }}]"), "by its parts"),
        ("{{ messages | length }}" + SIMPLE, "otherwise in a longer conversation"),
        (SIMPLE.replace("{{ m.content }}", "{{ m.content.replace('日', 'sun') }}"), "by its parts"),
    ],
)
def test_what_pieces_cannot_express_is_refused(template: str, reason: str) -> None:
    with pytest.raises(TemplateRefused, match=reason):
        found(template)


def test_a_system_text_in_the_last_question_is_left_out() -> None:
    late = (
        "{% set own = messages[0].role == 'system' %}{% for m in (messages[1:] if own else messages) %}[{{ m.role }}]"
        + ("{{ messages[0].content if own and loop.last else '' }}{{ m.content }}<|end|>\n{% endfor %}[assistant]")
    )
    extraction = found(late)
    assert extraction.chat.system is None
    assert "takes no system text" in extraction.notes[0]


def test_samples_are_what_the_template_gives() -> None:
    extraction = found(THINKS)
    assert {sample.thinking for sample in extraction.samples} == {False, True}
    sample = extraction.samples[0]
    assert sample.rendered == "".join(map(str, extraction.chat.pieces(sample.system, sample.exchanges)))


def test_unfit_is_told_from_faulty() -> None:
    assert issubclass(Unfit, TemplateRefused)
