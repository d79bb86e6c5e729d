"""Reading lines for a chat: by prompt-toolkit on a terminal, plainly from anything else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cli.chat_session import ReadLine
from farm.errors import UsageError
from farm.plain_text import replace_surrogates

SIGN = "> "
HISTORY_MODE = 0o600


def open_prompt(history: Path, commands: Sequence[str]) -> ReadLine:
    """What reads the next line. Enter sends, Alt-Enter or a backslash at the end makes another line; the arrows bring
    back earlier ones, which `history` keeps."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _read_plainly
    # It takes its time, for which no other command should wait.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    class CleanHistory(FileHistory):
        """Keeps lines that have halves of characters too."""

        def store_string(self, string: str) -> None:
            super().store_string(replace_surrogates(string))

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _another_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(HISTORY_MODE)
    completer = WordCompleter(list(commands), sentence=True)
    session: PromptSession[str] = PromptSession(
        SIGN, multiline=True, key_bindings=keys, history=CleanHistory(str(history)), completer=completer,
        complete_while_typing=False, prompt_continuation="  ",
    )  # fmt: skip
    return session.prompt


def _read_plainly() -> str:
    """A line of standard input; EOFError behind the last, UsageError for one that is no UTF-8."""
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError as error:
        raise UsageError("The question is not UTF-8 text; convert it, as in: iconv -f latin1 -t utf-8.") from error
    if not line:
        raise EOFError
    return line.removesuffix("\n")
