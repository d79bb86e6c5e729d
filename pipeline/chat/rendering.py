"""Rendering a chat template as Transformers does it: Jinja in its sandbox, with limits on time and output.

The template is a program of a stranger. The process that renders it is a child of the stage's, with limits of its own
(`pipeline/chat/child.py`).
"""

from __future__ import annotations

import datetime
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_OUTPUT = 1 << 20
LONGEST_SHOWN = 200
# Templates that print a day get always the same one, so that equal models give equal files.
DAY = datetime.datetime(2024, 7, 26, tzinfo=datetime.UTC)

Message = dict[str, str]


class TemplateRefused(Exception):
    """Why a template, or one conversation in it, can't be rendered, as the rest of a sentence."""


class TemplateRaised(TemplateRefused):
    """What the template itself has to say against a conversation."""


class TooMuch(TemplateRefused):
    """A limit of time, memory or output."""


class _Printed(jinja2.Undefined):
    """A variable that no chat has: it may be asked for, and not be printed."""

    def __str__(self) -> str:
        self._fail_with_undefined_error()


class _Generation(Extension):
    """Transformers' block around what a model has written, which a rendering shows as it is."""

    tags = {"generation"}  # noqa: RUF012  as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The block's content."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["**"])

    def call_binop(self, *_: Any) -> NoReturn:
        """Powers are refused: one of them can take hours, and no limit would be noticed in it."""
        raise SecurityError("a power")


@dataclass(frozen=True)
class TemplateText:
    """A template and what the tokenizer's files say to it. tokens: `bos_token` and such by name, as their text."""

    text: str
    tokens: Mapping[str, str] = field(default_factory=dict)


class Renderer:
    """One template, ready to render. TemplateRefused in all of its methods."""

    def __init__(self, template: TemplateText):
        """Compile it."""
        environment = _Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=_Printed,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _raise, "strftime_now": DAY.strftime}
        self._tokens = template.tokens
        with _sentences():
            self._template = environment.from_string(template.text)

    def render(self, messages: Sequence[Message], *, generate: bool = True, thinking: bool = False) -> str:
        """What the model reads of these messages, with the question for an answer behind them or not."""
        given = {
            "bos_token": "", "eos_token": "", "pad_token": "", "unk_token": "",
            **self._tokens,
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": generate, "enable_thinking": thinking, "thinking": thinking,
            "tools": None, "documents": None,
        }  # fmt: skip
        pieces: list[str] = []
        length = 0
        with _sentences():
            for piece in self._template.generate(**given):
                length += len(piece)
                if length > LONGEST_OUTPUT:
                    raise TooMuch(f"it writes more than {LONGEST_OUTPUT} characters for a short conversation")
                pieces.append(piece)
        return "".join(pieces)


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """TooMuch once the process has computed for so long; in the main thread alone."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TooMuch(f"it takes longer than {seconds:g} s, as an endless loop does")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _sentences() -> Iterator[None]:
    """What goes wrong in a template's own code, in the farm's words."""
    try:
        yield
    except TemplateRefused:
        raise
    except jinja2.TemplateSyntaxError as error:
        raise TemplateRefused(f"line {error.lineno} is no Jinja ({shown(error.message or '')})") from error
    except SecurityError as error:
        raise TemplateRefused(f"it reaches for what a template may not have ({shown(str(error))})") from error
    except jinja2.UndefinedError as error:
        raise TemplateRefused(f"it uses what a chat does not have ({shown(str(error))})") from error
    except MemoryError as error:
        raise TooMuch("it takes more memory than a template may") from error
    except RecursionError as error:
        raise TooMuch("it calls itself too often") from error
    # Whatever a stranger's program runs into: wrong types, keys, numbers.
    except Exception as error:
        raise TemplateRefused(f"it fails on a chat ({type(error).__name__}: {shown(str(error))})") from error


def shown(text: str) -> str:
    """One line of a stranger's text."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:LONGEST_SHOWN]


def _raise(message: object) -> NoReturn:
    raise TemplateRaised(f'it says "{shown(str(message))}"')


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
