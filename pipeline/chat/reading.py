"""From a stranger's template to a chat in tokens: the template is rendered in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pydantic import ValidationError

from farm.chat import Chat
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
HINT = "correct the template, or leave it out."

Extract = Callable[[FoundTemplate], Extraction]


def extract_apart(found: FoundTemplate) -> Extraction:
    """The pieces, from a process with limits; TemplateRefused, Unfit."""
    asked = Asked(template=found.template, source=found.source).model_dump_json().encode()
    try:
        completed = process.run(PROGRAM, timeout=TIMEOUT, error=ChatTemplateUnusable, hint=HINT, stdin=asked)
        answer = Answer.model_validate_json(completed.stdout)
    except ChatTemplateUnusable as error:
        raise TemplateRefused(f"the process that renders it came to no end within {TIMEOUT:g} s") from error
    except ValidationError as error:
        raise TemplateRefused("the process that renders it gave no answer") from error
    if answer.extraction is None:
        raise (Unfit if answer.unfit else TemplateRefused)(answer.refused)
    return answer.extraction


def read_chat(
    found: FoundTemplate, codec: TextCodec, *, thinking: bool = False, extract: Extract = extract_apart
) -> tuple[Chat, tuple[str, ...]]:
    """The chat, and what to say of it; TemplateRefused with the reason."""
    extraction = extract(found)
    chat, notes = tokenize(extraction, codec, thinking=thinking)
    return chat, (*extraction.notes, *notes)
