"""Where a command writes: results to stdout, everything for people that is no result to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from farm.errors import FarmError

# What is no terminal has no width; 250 columns keep a table's rows on one line each for `grep` and `awk`.
PIPE_WIDTH = 250
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Terminal:
    """Both streams of one call. as_json: one JSON value goes to stdout and nothing else does."""

    out: Console
    err: Console
    as_json: bool

    @property
    def interactive(self) -> bool:
        """Whether somebody watches: a terminal, no `--json`, no `CI`."""
        return self.err.is_terminal and not self.as_json and not os.environ.get("CI")

    def show(self, renderable: RenderableType) -> None:
        """Write a result for people to stdout."""
        _print(self.out, renderable)

    def show_raw(self, line: str) -> None:
        """Write a line that is not ours to stdout, broken by nobody but the terminal."""
        self.out.print(printable(line), soft_wrap=True)

    def remark(self, renderable: RenderableType) -> None:
        """Write something beside the result to stderr."""
        _print(self.err, renderable)

    def write_json(self, value: Any) -> None:
        """Write the one JSON value to stdout."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")
        sys.stdout.flush()

    def complain(self, error: FarmError) -> None:
        """Write an error's sentence to stderr."""
        self.remark(Text.assemble(("Error: ", "bold red"), printable(error.sentence)))


def open_terminal(as_json: bool = False) -> Terminal:
    """The streams of this process; colours only on a terminal and not with NO_COLOR."""
    return Terminal(_console(stderr=False), _console(stderr=True), as_json)


def printable(text: str) -> str:
    """The text without what would steer the terminal; logs and names may come from strangers."""
    return _UNPRINTABLE.sub("\ufffd", _COLOUR.sub("", text)).encode("utf-8", "replace").decode()


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def _print(console: Console, renderable: RenderableType) -> None:
    """On a terminal sentences are wrapped between words; elsewhere not at all, and nothing is padded."""
    safe = printable(renderable) if isinstance(renderable, str) else renderable
    if console.is_terminal:
        console.print(safe)
        return
    with console.capture() as captured:
        console.print(safe, soft_wrap=isinstance(safe, str | Text))
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")
