"""How the farm's own processes write their logs: one line a message, whatever a message quotes."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from farm.logs import printable

FORMAT = "%(asctime)s %(levelname)s %(message)s"


class OneLine(logging.Formatter):
    """Spells out controls, so that text from outside makes no line of its own and moves no terminal's cursor.

    A traceback keeps its lines, each of them spelled out and moved in, so that none passes for a message.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's own name
        """The record's one line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 # logging's own name
        """The traceback."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type] # as given
        return "\n".join(f"    {printable(line)}" for line in lines)


def begin(text_format: str = FORMAT, date_format: str | None = None, stream: TextIO | None = None) -> None:
    """Let this process write its log to stderr, from the level INFO on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine(text_format, date_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
