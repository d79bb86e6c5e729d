"""A chat in the terminal: reads questions and commands, and shows answers as they are written."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from cli import units
from cli.terminal import Terminal, printable
from farm.conversations import SavedConversation, SavedTurn
from farm.errors import FarmError, UsageError
from farm.plain_text import replace_surrogates
from pipeline.inference.answer_parts import Part
from pipeline.inference.conversation import AnswerOptions, AnswerStats, Conversation, Turn

# Gives the next line; EOFError at the end, KeyboardInterrupt for a line that is given up.
ReadLine = Callable[[], str]

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
MASK = "/"


class ChatSession:
    """One conversation and the commands on it. out: where answers go."""

    def __init__(
        self, conversation: Conversation, options: AnswerOptions, terminal: Terminal, out: TextIO | None = None
    ):
        self._conversation = conversation
        self._options = options
        self._terminal = terminal
        self._out = sys.stdout if out is None else out
        self._created = datetime.now(UTC).replace(microsecond=0).isoformat()
        self._dropped = 0
        self._ended = False
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "/system": (self._system, "/system [TEXT]: show or set the system text; /system - takes it away"),
            "/thinking": (self._thinking, "/thinking on|off: let the model think before it answers"),
            "/regenerate": (self._regenerate, "/regenerate: answer the last question in another way"),
            "/save": (self._save, "/save FILE: keep the conversation"),
            "/load": (self._load, "/load FILE: go on with a conversation that was kept"),
            "/reset": (self._reset, "/reset: begin a new conversation; the system text stays"),
            "/stats": (self._stats, "/stats: tokens, context and speed"),
            "/help": (self._help, "/help: show this; a question that begins with / is asked as //..."),
            "/quit": (self._quit, "/quit, or Ctrl-D: end the chat"),
        }

    @property
    def commands(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._commands)

    def run(self, read_line: ReadLine) -> None:
        """Read until the end; a faulty command or question costs a sentence and nothing else."""
        while not self._ended:
            try:
                line = replace_surrogates(read_line())
            except EOFError:
                return
            except KeyboardInterrupt:
                self._terminal.remark("Ctrl-D or /quit ends the chat.")
                continue
            try:
                self.take(line)
            except FarmError as error:
                self._terminal.complain(error)

    def take(self, line: str) -> None:
        """Do one line: a command or a question. FarmError."""
        text = line.strip()
        if not text:
            return
        if not text.startswith(MASK) or text.startswith(2 * MASK):
            self._show(self._conversation.ask(line[1:] if text.startswith(2 * MASK) else line, self._options))
            return
        name, _, argument = text.partition(" ")
        if name not in self._commands:
            close = difflib.get_close_matches(name, self._commands, n=1)
            hint = f"did you mean {close[0]}?" if close else "/help lists all."
            raise UsageError(f"There is no command {printable(name)[:40]}; {hint}")
        self._commands[name][0](argument.strip())

    def _show(self, parts: Iterator[Part]) -> None:
        """Write an answer as it comes. Ctrl-C ends the answer, and what was written stays."""
        thinking = False
        try:
            for part in parts:
                if part.thought != thinking:
                    thinking = part.thought
                    self._write(self._dim(DIM) if thinking else self._dim(PLAIN) + "\n\n")
                self._write(printable(part.text))
            self._write((self._dim(PLAIN) if thinking else "") + "\n")
        except KeyboardInterrupt:
            # The generator keeps what it has.
            parts.close()  # type: ignore[attr-defined]
            self._write(self._dim(PLAIN) + "\n")
            self._terminal.remark("The answer was stopped; it stays in the conversation as far as it goes.")
        stats = self._conversation.stats
        if stats.dropped > self._dropped:
            turns = "The oldest turn is" if stats.dropped == 1 else f"The oldest {stats.dropped} turns are"
            self._terminal.remark(
                f"{turns} no longer read: the context of {self._conversation.context} tokens is full."
            )
        self._dropped = stats.dropped

    def _system(self, argument: str) -> None:
        conversation = self._conversation
        if argument and conversation.chat.system is None:
            raise UsageError("This model's template takes no system text; say it in your first question.")
        if argument:
            conversation.system = None if argument == "-" else argument
        own = conversation.system or conversation.chat.default_system
        self._terminal.remark("No system text." if own is None else f"System text: {own}")

    def _thinking(self, argument: str) -> None:
        thinking = self._conversation.chat.thinking
        if argument not in ("on", "off"):
            raise UsageError("Say /thinking on or /thinking off.")
        if thinking is None:
            raise UsageError("This model's template has no thoughts to turn on or off.")
        if thinking.always and argument == "off":
            raise UsageError("This model always thinks; its template has no way to turn that off.")
        self._conversation.thinking = argument == "on"

    def _regenerate(self, _argument: str) -> None:
        self._show(self._conversation.regenerate(self._options))

    def _save(self, argument: str) -> None:
        path = _path(argument, "/save")
        self.saved().write(path)
        self._terminal.remark(f"{units.count(len(self._conversation.turns), 'turn')} in {path}.")

    def _load(self, argument: str) -> None:
        self.open(_path(argument, "/load"))

    def open(self, path: Path) -> None:
        """Go on with a conversation that was kept; FileUnreadable."""
        saved = SavedConversation.read(path)
        info, conversation = self._conversation.model.info, self._conversation
        other = saved.model_sha256 not in (None, info.model_sha256)
        elder = (saved.model or "another model") if other else None
        turns = [Turn(turn.question, turn.answer, turn.thought, model=turn.model or elder) for turn in saved.turns]
        open_question = turns.pop().question if turns and turns[-1].answer is None else None
        conversation.turns, conversation.system = turns, saved.system
        conversation.thinking = saved.thinking and conversation.chat.thinking is not None
        conversation.stats = AnswerStats()
        self._created, self._dropped = saved.created or self._created, 0
        self._terminal.remark(f"{units.count(len(turns), 'turn')} from {path}.")
        if elder is not None:
            self._terminal.remark(f"The answers are {printable(elder)}'s; {info.name} goes on.")
        if saved.system is not None and conversation.chat.system is None:
            self._terminal.remark("This model's template takes no system text; that of the conversation is not read.")
        if open_question is not None:
            self._terminal.remark(f"The last question has no answer: {printable(open_question)[:200]}")

    def saved(self) -> SavedConversation:
        """The conversation as it is kept."""
        conversation = self._conversation
        info = conversation.model.info
        turns = tuple(SavedTurn(turn.question, turn.answer, turn.thought, turn.model) for turn in conversation.turns)
        title = " ".join(turns[0].question.split())[:80] if turns else None
        return SavedConversation(
            turns, conversation.system, conversation.thinking, title, self._created, info.name, info.model_sha256
        )

    def _reset(self, _argument: str) -> None:
        self._conversation.turns.clear()
        self._conversation.stats = AnswerStats()
        self._dropped = 0
        self._created = datetime.now(UTC).replace(microsecond=0).isoformat()

    def _stats(self, _argument: str) -> None:
        conversation, stats = self._conversation, self._conversation.stats
        speed = f", {stats.rate:.0f} tokens/s" if stats.rate else ""
        lines = [
            f"{conversation.tokens()} tokens in {units.count(len(conversation.turns), 'turn')},"
            f" a context of {conversation.context}"
        ]
        if stats.prompt_tokens:
            lines.append(
                f"last answer: {stats.read_tokens} of {units.count(stats.prompt_tokens, 'token')} new to the model,"
                f" the first new one after {units.duration(stats.first_seconds)}, {stats.new_tokens} in all{speed}"
            )
        if stats.dropped:
            lines.append(f"{units.count(stats.dropped, 'old turn')} no longer read")
        self._terminal.remark("\n".join(lines))

    def _help(self, _argument: str) -> None:
        self._terminal.remark("\n".join(text for _, text in self._commands.values()))

    def _quit(self, _argument: str) -> None:
        self._ended = True

    def _dim(self, code: str) -> str:
        return code if self._out.isatty() else ""

    def _write(self, text: str) -> None:
        if self._terminal.as_json:
            return
        self._out.write(text)
        self._out.flush()


def _path(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command} needs a file, as in: {command} talk.json")
    return Path(argument).expanduser()
