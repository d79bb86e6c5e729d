"""From a stranger's template to a chat in tokens: the template is rendered in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from farm.chat import Chat, Exchange
from farm.errors import ChatTemplateUnusable
from pipeline import process
from pipeline.chat.child import Answer, Asked
from pipeline.chat.extraction import Extraction, Unfit
from pipeline.chat.rendering import TemplateRefused
from pipeline.chat.sources import FoundTemplate
from pipeline.chat.tokenizing import tokenize
from pipeline.tokenizers.codec import TextCodec

# Of the wall's clock, on a machine that has other work as well; the process itself counts what it computes.
TIMEOUT = 120.0
PROGRAM = (sys.executable, "-P", "-m", "pipeline.chat.child")
NO_ANSWER = "the process that renders it gave no answer"
HINT = "correct the template, or leave it out."

Extract = Callable[[FoundTemplate], Extraction]


def extract_apart(found: FoundTemplate) -> Extraction:
    """The pieces, from a process with limits; TemplateRefused, Unfit."""
    answer = _ask(Asked(template=found.template, source=found.source))
    if answer.extraction is None:
        raise (Unfit if answer.unfit else TemplateRefused)(answer.refused)
    return answer.extraction


def render_apart(found: FoundTemplate, conversations: Sequence[Sequence[Exchange]]) -> tuple[str, ...]:
    """What the template makes of conversations without a system text, thinking off; TemplateRefused."""
    turns = tuple(tuple(each) for each in conversations)
    answer = _ask(Asked(template=found.template, source=found.source, conversations=turns))
    if len(answer.rendered) != len(turns):
        raise TemplateRefused(answer.refused or NO_ANSWER)
    return answer.rendered


def _ask(asked: Asked) -> Answer:
    stdin = asked.model_dump_json().encode()
    try:
        completed = process.run(PROGRAM, timeout=TIMEOUT, error=ChatTemplateUnusable, hint=HINT, stdin=stdin)
        return Answer.model_validate_json(completed.stdout)
    except ChatTemplateUnusable as error:
        raise TemplateRefused(f"the process that renders it came to no end within {TIMEOUT:g} s") from error
    except ValidationError as error:
        raise TemplateRefused(NO_ANSWER) from error


def read_chat(
    found: FoundTemplate, codec: TextCodec, *, thinking: bool = False, extract: Extract = extract_apart
) -> tuple[Chat, tuple[str, ...]]:
    """The chat, and what to say of it; TemplateRefused with the reason."""
    extraction = extract(found)
    chat, notes = tokenize(extraction, codec, thinking=thinking)
    return chat, (*extraction.notes, *notes)
