"""How errors become text and exit codes: one sentence on stderr, the same as JSON on stdout when asked for."""

from __future__ import annotations

import difflib
import re
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer.exceptions import TyperException

from cli.terminal import Terminal
from cli.word_order import ALIASES
from farm.errors import FarmError, SettingsInvalid, UsageError

# What people call the commands that are named otherwise here.
MEANT = {
    "submit": "build convert create new start add make quantize package",
    "status": "show info ps queue job get describe",
    "logs": "tail output",
    "list": "jobs history all",
    "cancel": "stop kill abort",
    "retry": "rerun restart resume",
    "download": "get-artifacts fetch pull artifacts save export",
    "run": "generate complete chat prompt ask",
    "gc": "prune clean cleanup purge",
    "disk": "du usage space df size",
    "token": "tokens auth key",
    "login": "connect remote",
    "doctor": "check-system diagnose setup",
    "migrate": "upgrade",
}


def error_object(error: FarmError) -> dict[str, Any]:
    """The JSON form of an error."""
    return {"code": error.code(), "exit_code": error.exit_code, "message": error.sentence}


def report(error: FarmError, terminal: Terminal) -> int:
    """Show an error; gives the exit code."""
    if terminal.as_json:
        terminal.write_json({"error": error_object(error)})
    terminal.complain(error)
    return error.exit_code


def usage(error: TyperException, command_path: str) -> UsageError:
    """A wrong command line in the farm's words, with the command that tells more."""
    hint = f"`{command_path} --help` tells more."
    if hasattr(error, "possibilities"):  # Typer's NoSuchOption, a class that it does not hand out
        option = getattr(error, "option_name", "of that name")
        closest = f"did you mean {error.possibilities[0]}?" if error.possibilities else hint
        return UsageError(f"There is no option {option}; {closest}")
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    if (wrong := _NO_NUMBER.search(message)) is not None:
        message = f"{message[: wrong.start()]}it is no {'whole ' if wrong[1] == 'integer' else ''}number"
    if (choice := _NOT_ONE_OF.search(message)) is not None:
        near = difflib.get_close_matches(choice[1], re.findall(r"'([^']+)'", choice[2]), n=1)
        hint = f"did you mean {near[0]}?" if near else hint
    return UsageError(f"{message}; {hint}")


# What Typer and pydantic say of a value; the second in words of its own.
_NO_NUMBER = re.compile(r"Input should be a valid (integer|number).*")
_NOT_ONE_OF = re.compile(r"'([^']+)' is not one of (.+)")


def unknown_command(name: str, known: Sequence[str]) -> UsageError:
    """An unknown command with the closest one."""
    meant = {word: command for command, words in MEANT.items() for word in words.split()} | ALIASES
    meant |= {command: command for command in known}
    near = difflib.get_close_matches(name.lower(), meant, n=1, cutoff=0.7)
    close = [meant[word] for word in near]
    return UsageError(f"There is no command {name!r}; did you mean `farm {close[0]}`?" if close else
                      f"There is no command {name!r}; `farm --help` lists them.")  # fmt: skip


def unexpected(error: Exception) -> FarmError:
    """A fault of the farm itself; its trace is kept in a file that the sentence names."""
    path = _keep_trace("".join(traceback.format_exception(error)))
    first_line = next(iter(str(error).strip().splitlines()), "no message")[:200]
    return FarmError(
        f"The farm itself is at fault ({type(error).__name__}: {first_line}); please report it with the trace that is"
        f" in {path}."
    )


def _keep_trace(trace: str) -> Path:
    # Its import takes a third of the start of `farm --help`, and only a fault needs it here.
    from farm import settings

    name = f"fault-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.log"
    try:
        folder = settings.load().logs
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(trace, errors="replace")
    except (OSError, SettingsInvalid):
        path = Path(tempfile.gettempdir()) / name
        path.write_text(trace, errors="replace")
    return path
