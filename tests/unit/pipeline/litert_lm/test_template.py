from __future__ import annotations

import pytest

from farm.chat import Chat, Trim, Turn
from pipeline.chat.conversations import messages, random_conversations
from pipeline.chat.rendering import Message, Renderer, TemplateRefused, TemplateText
from pipeline.litert_lm import template
from pipeline.litert_lm.template import TemplateUnfit
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN
from tests.fixtures.chat_templates import DEFAULT, IN_QUESTION, NO_SYSTEM, OPENED, SIMPLE, THINKS, chat_of, codec

MARKERS = ("<think>", "</think>")


def written(chat: Chat, *words: str) -> str:
    spelled = {id: text for text, id in codec(*words).ids.items()}
    return template.write_template(chat, spelled.get, template.start_of(chat, START_TOKEN), [END_TOKEN])


def spelled(chat: Chat, said: list[Message], *words: str, thinking: bool = False) -> str:
    return Renderer(TemplateText(written(chat, *words), {})).render(said, thinking=thinking)


@pytest.mark.parametrize("text", [SIMPLE, DEFAULT, NO_SYSTEM, IN_QUESTION, THINKS, OPENED])
def test_it_writes_what_the_pieces_are(text: str) -> None:
    chat, found = chat_of(text, *MARKERS), codec(*MARKERS)
    spellings = {id: token for token, id in found.ids.items()}
    assert (chat.thinking is not None) is (text in (THINKS, OPENED))
    start = template.start_of(chat, START_TOKEN)
    assert (start is None) is (text is not IN_QUESTION)
    for thinking in (False, True) if chat.thinking else (False,):
        for system, exchanges in random_conversations(60, system=chat.system is not None):
            pieces = chat.pieces(system, exchanges, thinking=thinking)
            wanted = "".join(each if isinstance(each, str) else spellings[each] for each in pieces)
            own = spelled(chat, messages(system, exchanges), *MARKERS, thinking=thinking)
            assert ("" if start is None else spellings[start]) + own == wanted


@pytest.mark.parametrize("trim", list(Trim))
def test_white_space_is_taken_off_as_the_farm_does(trim: Trim) -> None:
    spaces = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
    chat = chat_of(SIMPLE).model_copy(update={"user": Turn(before=("<",), after=(">",), trim=trim)})
    given = f"{spaces}a{spaces}b{spaces}"
    own = spelled(chat, [{"role": "user", "content": given}])
    assert own.startswith(f"<{trim.apply(given)}>")


def test_a_longer_conversation_goes_on_where_a_shorter_ends() -> None:
    # LiteRT-LM reads only what a rendering has more than the one before the question.
    chat = chat_of(SIMPLE)
    said = messages("Be kind.", [*next(random_conversations(1, system=False))[1]])
    said = [*said, {"role": "assistant", "content": "Yes."}]
    environment = Renderer(TemplateText(written(chat), {}))
    shorter = environment.render(said, generate=False)
    assert shorter.endswith("Yes.<|end|>")
    longer = environment.render([*said, {"role": "user", "content": "And?"}])
    assert longer == shorter + "\n[user]And?<|end|>\n[assistant]"


def test_a_text_may_come_in_parts() -> None:
    said = [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}]
    assert spelled(chat_of(SIMPLE), said) == "[user]one two<|end|>\n[assistant]"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([{"role": "tool", "content": "x"}], "has questions, answers and one system text"),
        ([{"role": "user", "content": "x"}, {"role": "system", "content": "y"}], "one system text before them"),
        ([{"role": "user", "content": [{"type": "image"}]}], "reads text alone"),
    ],
)
def test_what_no_conversation_has_is_refused(said: list[Message], sentence: str) -> None:
    with pytest.raises(TemplateRefused, match=sentence):
        spelled(chat_of(SIMPLE), said)


def test_a_system_text_is_refused_where_the_model_takes_none() -> None:
    with pytest.raises(TemplateRefused, match="takes no system text"):
        spelled(chat_of(NO_SYSTEM), messages("Be kind.", []))
    assert spelled(chat_of(NO_SYSTEM), messages(" \n", [])) == "[assistant]"


def test_an_answer_that_no_stop_token_ends_is_unfit() -> None:
    chat = chat_of(SIMPLE)
    with pytest.raises(TemplateUnfit, match="no stop token ends an answer"):
        template.write_template(chat, lambda _: "x", None, [1])
    with pytest.raises(TemplateUnfit, match=f"the token {END_TOKEN} of the template has no text"):
        template.write_template(chat, lambda _: None, None, [END_TOKEN])
