from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cli.chat_session import ChatSession
from cli.terminal import open_terminal
from farm import errors
from farm.chat import Chat, SystemTurn, Thinking, Turn
from farm.conversations import SavedConversation, SavedTurn
from farm.prompting import Mode, Prompting
from pipeline.inference import archive
from pipeline.inference.conversation import AnswerOptions, Conversation
from tests.fixtures import litert_lm_files
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN, write_model_folder

CHAT = Chat(
    begin=(START_TOKEN,), generation=("a",), source="tests", default_system="be kind",
    user=Turn(before=("q",), after=(END_TOKEN,)), assistant=Turn(before=("a",), after=(END_TOKEN,)),
    system=SystemTurn(before=("s",), after=(END_TOKEN,)),
)  # fmt: skip
THINKS = Thinking(generation=("t",), open_token=3, close_token=4)


def write(folder: Path, chat: Chat | None = CHAT, **changes: object) -> None:
    write_model_folder(folder).model_copy(update={"chat": chat, **changes}).write(folder / "model-info.json")


Talk = Callable[..., tuple[ChatSession, str, str]]


@pytest.fixture
def talk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Talk:
    """Runs a session on lines, of which an exception stands for what the terminal raises."""
    write(tmp_path / "model")

    def run(*lines: str | BaseException, chat: Chat = CHAT, sure: bool = True) -> tuple[ChatSession, str, str]:
        model = archive.open_language_model(tmp_path / "model")
        conversation = Conversation(model)
        conversation.chat = chat
        out = io.StringIO()
        session = ChatSession(conversation, AnswerOptions(most_tokens=4), open_terminal(False), out)
        given = iter(lines)

        def read_line() -> str:
            line = next(given, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        session.run(read_line)
        said = capsys.readouterr().err
        assert sure is ("Error:" not in said), said
        return session, out.getvalue(), said

    return run


def turns(session: ChatSession) -> Iterable[SavedTurn]:
    return session.saved().turns


def test_each_question_is_answered(talk: Talk) -> None:
    session, out, said = talk("one", "", "//two\nlines")
    assert [turn.question for turn in turns(session)] == ["one", "/two\nlines"]
    assert out.count("\n") >= 2
    assert said == ""


def test_the_end_and_quit_end_the_chat(talk: Talk) -> None:
    session, _, _ = talk("one", "/quit", "two")
    assert len(list(turns(session))) == 1


def test_ctrl_c_at_a_line_ends_nothing(talk: Talk) -> None:
    session, _, said = talk(KeyboardInterrupt(), "one")
    assert len(list(turns(session))) == 1
    assert "Ctrl-D or /quit ends the chat" in said


def test_ctrl_c_stops_an_answer_and_not_the_chat(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[str] = []

    def interrupt(_session: ChatSession, text: str) -> None:
        wrote.append(text)
        if len(wrote) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(ChatSession, "_write", interrupt)
    session, _, said = talk("one", "two")
    assert [turn.question for turn in turns(session)] == ["one", "two"]
    assert "The answer was stopped" in said


def test_the_system_text_is_shown_set_and_taken_away(talk: Talk) -> None:
    _, _, said = talk("/system", "/system be brief", "/system -")
    assert [line.removeprefix("System text: ") for line in said.splitlines()] == ["be kind", "be brief", "be kind"]
    _, _, said = talk("/system x", "/system", chat=CHAT.model_copy(update={"system": None}), sure=False)
    assert "takes no system text; say it in your first question" in said


def test_thinking_is_turned_on_and_off(talk: Talk) -> None:
    session, _, _ = talk("/thinking on", chat=CHAT.model_copy(update={"thinking": THINKS}))
    assert session.saved().thinking
    assert "no thoughts to turn on" in talk("/thinking on", sure=False)[2]
    always = CHAT.model_copy(update={"thinking": THINKS.model_copy(update={"always": True})})
    assert "always thinks" in talk("/thinking off", chat=always, sure=False)[2]
    assert "/thinking on or /thinking off" in talk("/thinking perhaps", sure=False)[2]


def test_an_answer_is_written_again(talk: Talk) -> None:
    first, _, _ = talk("one")
    second, _, _ = talk("one", "/regenerate")
    (one,), (other,) = turns(first), turns(second)
    assert one.question == other.question
    assert one.answer != other.answer
    assert "ask a question first" in talk("/regenerate", sure=False)[2]


def test_a_conversation_is_kept_and_gone_on_with(talk: Talk, tmp_path: Path) -> None:
    kept = tmp_path / "talk.json"
    first, _, said = talk("/system be brief", "one", f"/save {kept}")
    assert "1 turn in" in said
    second, _, _ = talk(f"/load {kept}", "two")
    assert [turn.question for turn in turns(second)] == ["one", "two"]
    assert second.saved().system == "be brief"
    assert second.saved().created == first.saved().created
    alone, _, _ = talk("/system be brief", "one", "two")
    assert list(turns(second)) == list(turns(alone))


def test_a_conversation_of_another_model_is_said(talk: Talk, tmp_path: Path) -> None:
    saved = SavedConversation((SavedTurn("q", "a"), SavedTurn("r\x1b[2J")), model="M\x07", model_sha256="1" * 64)
    saved.write(tmp_path / "talk.json")
    session, _, said = talk(f"/load {tmp_path / 'talk.json'}")
    assert "M\ufffd's; fixture goes on" in said
    assert "The last question has no answer: r" in said
    assert "\x1b" not in said
    assert [turn.question for turn in turns(session)] == ["q"]
    # Kept once more, its answers are still that model's, and later ones are this one's.
    later, _, _ = talk(f"/load {tmp_path / 'talk.json'}", "one", f"/save {tmp_path / 'later.json'}")
    assert [turn.model for turn in turns(later)] == ["M\x07", None]
    assert SavedConversation.read(tmp_path / "later.json").turns == later.saved().turns


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/save", "/save needs a file"),
        ("/load none.json", "none.json can't be read"),
        ("/save none/talk.json", "can't be written"),
        ("/reganerate", "did you mean /regenerate?"),
        ("/\x1b[2J", "/help lists all"),
        ("xy" * 60, "the model reads 48"),
    ],
)
def test_a_faulty_line_costs_a_sentence(talk: Talk, line: str, sentence: str) -> None:
    session, _, said = talk(line, "one", sure=False)
    assert sentence in said.replace("\n", " ")
    assert "\x1b" not in said
    assert [turn.question for turn in turns(session)] == ["one"]


def test_reset_begins_anew(talk: Talk) -> None:
    session, _, said = talk("/system brief", "one", "/stats", "/reset", "/stats", "two")
    assert [turn.question for turn in turns(session)] == ["two"]
    assert session.saved().system == "brief"
    # The first count tells of an answer, the second one of none.
    assert said.count("tokens in ") == 2
    assert said.count("last answer") == 1


def test_a_full_context_is_said_once_it_grows(talk: Talk) -> None:
    _, _, said = talk(*[f"{number} is it" for number in range(6)], "/stats")
    assert "The oldest turn is no longer read: the context of 48 tokens is full." in said
    assert "old turns no longer read" in said
    assert "a context of 48" in said


def test_help_lists_every_command(talk: Talk) -> None:
    session, _, said = talk("/help")
    assert all(name in said for name in session.commands)


def test_controls_in_an_answer_do_not_steer_the_terminal(talk: Talk) -> None:
    _, out, _ = talk(*[f"{number}" for number in range(12)])
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in out)


def test_halves_of_characters_are_asked_whole(talk: Talk) -> None:
    session, _, _ = talk("a\ud800")
    assert [turn.question for turn in turns(session)] == ["a\ufffd"]


def test_farm_chat_answers_each_line_of_stdin(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("chat"))
    monkeypatch.setattr("cli.chat_prompt._read_plainly", iter_lines("one", "/save talk.json"))
    ran = farm("chat", "chat", "--max-tokens", "3", "--system", "brief", "--temperature", "0.5", "--seed", "7")
    assert ran.code == 0
    assert "fixture, none, a context of 48 tokens" in ran.stderr
    saved = SavedConversation.read(Path("talk.json"))
    assert saved.system == "brief"
    monkeypatch.setattr("cli.chat_prompt._read_plainly", iter_lines("two", "/save talk.json"))
    assert farm("chat", "chat", "--max-tokens", "3", "--load", "talk.json").code == 0
    assert len(SavedConversation.read(Path("talk.json")).turns) == 2
    monkeypatch.setattr("cli.chat_prompt._read_plainly", iter_lines("six"))
    found = farm("chat", "chat", "--max-tokens", "3", "--load", "talk.json", "--json").json
    assert [turn["question"] for turn in found["turns"]] == ["one", "two", "six"]


def test_farm_chat_asks_a_file_for_litert_lm(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("chat"))
    litert_lm_files.pack(Path("chat"), Path("model.litertlm"))
    answers = []
    for target in ("chat", "model.litertlm"):
        monkeypatch.setattr("cli.chat_prompt._read_plainly", iter_lines("one", "two"))
        answers.append(farm("chat", target, "--max-tokens", "3", "--json").json["turns"])
    assert answers[0] == answers[1]
    assert len(answers[0]) == 2


def iter_lines(*lines: str) -> Callable[[], str]:
    given = iter(lines)

    def read() -> str:
        line = next(given, None)
        if line is None:
            raise EOFError
        return line

    return read


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (["--thinking"], errors.UsageError, "no thoughts to turn on"),
        (["--temperature", "inf"], errors.UsageError, "no number to count with"),
        (["--top-p", "0"], errors.UsageError, "leaves no token"),
        (["--load", "none.json"], errors.FileUnreadable, "can't be read"),
    ],
)
def test_wrong_options_are_one_sentence(farm, words: list[str], error: type[errors.FarmError], sentence: str) -> None:
    write(Path("chat"))
    ran = farm("chat", "chat", *words)
    assert ran.code == error.exit_code
    assert sentence in ran.error


def test_a_model_without_a_template_is_refused(farm) -> None:
    write(Path("bare"), None)
    assert farm("chat", "bare").code == errors.ChatTemplateUnusable.exit_code
    assert farm("run", "bare", "hi", "--mode", "chat").code == errors.ChatTemplateUnusable.exit_code


def test_farm_run_asks_a_chats_first_question(farm) -> None:
    write(Path("chat"), prompting=Prompting(mode=Mode.CHAT, prompt_template="x{prompt}"))
    found = farm("run", "chat", "one", "--max-tokens", "3", "--json").json
    codec = archive.open_language_model(Path("chat")).text
    assert codec is not None
    assert found["mode"] == "chat"
    assert found["prompt_token_ids"] == [START_TOKEN, *codec.encode("qone"), END_TOKEN, *codec.encode("a")]


def test_farm_run_draws_with_a_seed_and_stops_at_a_text(farm) -> None:
    write(Path("plain"), None)
    words = ["run", "plain", "the rain", "--max-tokens", "9", "--json"]
    drawn = [*words, "--temperature", "1", "--seed", "5"]
    assert farm(*drawn).json["new_token_ids"] == farm(*drawn).json["new_token_ids"]
    assert farm(*drawn).json["new_token_ids"] != farm(*words).json["new_token_ids"]
    whole = farm(*words).json["completion"]
    assert farm(*words, "--stop", whole[2:4]).json["completion"] == whole[: whole.find(whole[2:4])]
    assert json.dumps(whole)
