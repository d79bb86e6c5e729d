from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from farm.chat import Chat, SystemTurn, Turn
from farm.errors import ChatTemplateUnusable, SequenceTooLong, UsageError
from pipeline.inference import archive
from pipeline.inference.archive import LanguageModel
from pipeline.inference.conversation import AnswerOptions, Conversation
from pipeline.inference.sampling import Sampling
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN, write_model_folder

CHAT = Chat(
    begin=(START_TOKEN,), generation=("a",), source="tests",
    user=Turn(before=("q",), after=(END_TOKEN,)), assistant=Turn(before=("a",), after=(END_TOKEN,)),
    system=SystemTurn(before=("s",), after=(END_TOKEN,)),
)  # fmt: skip
OPTIONS = AnswerOptions(most_tokens=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat")
    write_model_folder(path).model_copy(update={"chat": CHAT}).write(path / "model-info.json")
    return path


@pytest.fixture
def talk(folder: Path) -> Iterator[Conversation]:
    yield Conversation(archive.open_language_model(folder))


def ask(talk: Conversation, question: str, options: AnswerOptions = OPTIONS) -> str:
    return "".join(part.text for part in talk.ask(question, options))


def test_only_new_tokens_are_read_and_nothing_changes(talk: Conversation, folder: Path) -> None:
    read = []
    for question in ("one", "two", "six"):
        ask(talk, question)
        read.append((talk.stats.prompt_tokens, talk.stats.read_tokens))
    # At first all is new; later the answer's tokens that stand as the template has them, and the new question.
    assert read[0][0] == read[0][1]
    assert all(new < whole for whole, new in read[1:])
    for count in range(1, 4):
        fresh = Conversation(archive.open_language_model(folder), turns=talk.turns[: count - 1])
        assert ask(fresh, talk.turns[count - 1].question) == talk.turns[count - 1].answer


def test_wrong_drafts_are_not_taken_for_read(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.inference.drafting.PromptLookupDrafter.draft", lambda _self, most: [7, 8, 9][: max(0, most)]
    )
    ask(talk, "one")
    texts = [ask(talk, "two")]
    talk.turns.pop()
    talk._kept.rewind()
    assert [ask(talk, "two")] == texts


def test_the_system_text_is_read(talk: Conversation) -> None:
    ask(talk, "one")
    without = talk.stats.prompt_tokens
    talk.turns.clear()
    talk.system = "brief"
    ask(talk, "one")
    assert talk.stats.prompt_tokens == without + len(talk.codec.encode("sbrief")) + 1


def test_old_turns_make_room(talk: Conversation) -> None:
    for number in range(9):
        ask(talk, f"{number} is it")
    assert talk.stats.dropped > 0
    assert talk.stats.prompt_tokens + 4 <= talk.context
    assert len(talk.turns) == 9


def test_a_question_that_never_fits_is_refused_with_both_numbers(talk: Conversation) -> None:
    with pytest.raises(SequenceTooLong, match=r"has \d{2,} tokens .* the model reads 48"):
        ask(talk, "xy" * 60)
    assert talk.turns == []


@pytest.mark.parametrize("question", ["", " \n"])
def test_a_blank_question_is_refused(talk: Conversation, question: str) -> None:
    with pytest.raises(UsageError, match="at least one word"):
        ask(talk, question)


def test_an_answer_that_is_stopped_stays_as_far_as_it_goes(talk: Conversation) -> None:
    parts = talk.ask("one", AnswerOptions(most_tokens=8))
    first = next(parts).text
    parts.close()  # type: ignore[attr-defined]
    assert talk.turns[0].answer is not None
    assert talk.turns[0].answer.startswith(first)
    assert ask(talk, "two")


def test_regenerating_gives_another_answer_each_time(talk: Conversation) -> None:
    ask(talk, "one")
    first = [talk.turns[0].first_token]
    for _ in range(3):
        list(talk.regenerate(OPTIONS))
        assert len(talk.turns) == 1
        first.append(talk.turns[0].first_token)
    assert len(set(first)) == 4


def test_there_is_nothing_to_regenerate_at_first(talk: Conversation) -> None:
    with pytest.raises(UsageError, match="ask a question first"):
        talk.regenerate(OPTIONS)


def test_a_seed_gives_the_same_conversation(folder: Path) -> None:
    def answers(seed: int) -> Sequence[str | None]:
        talk = Conversation(archive.open_language_model(folder))
        for question in ("one", "two"):
            ask(talk, question, AnswerOptions(4, Sampling(temperature=1.0, seed=seed)))
        return [turn.answer for turn in talk.turns]

    assert answers(3) == answers(3) != answers(4)


def test_a_stop_text_ends_the_answer(talk: Conversation) -> None:
    whole = ask(talk, "one", AnswerOptions(most_tokens=12))
    talk.turns.clear()
    stop = whole[2:4]
    assert ask(talk, "one", AnswerOptions(12, stops=(stop,))) == whole[: whole.find(stop)]


def test_a_model_without_a_template_holds_no_conversation(talk: Conversation) -> None:
    model = talk.model
    bare = LanguageModel(model.tokens, model.text, model.info.model_copy(update={"chat": None}))
    with pytest.raises(ChatTemplateUnusable, match="has no chat template"):
        Conversation(bare)
