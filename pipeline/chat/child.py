"""The process that renders a stranger's template: `python -m pipeline.chat.child`, a template in, its pieces out.

It takes memory and processor limits before it looks at the template, and imports nothing of the farm that a template
could make use of.
"""

from __future__ import annotations

import resource
import sys

from pydantic import BaseModel, ConfigDict, TypeAdapter

from farm.chat import Exchange
from pipeline.chat.conversations import messages
from pipeline.chat.extraction import Extraction, Unfit, extract
from pipeline.chat.rendering import Renderer, TemplateRefused, TemplateText, cpu_limit

CPU_SECONDS = 8.0
MEMORY = 1 << 29


class Asked(BaseModel):
    """What the process is given. conversations: to be rendered, in place of the extraction."""

    model_config = ConfigDict(frozen=True)

    template: TemplateText
    source: str
    conversations: tuple[tuple[Exchange, ...], ...] = ()


class Answer(BaseModel):
    """What it says: pieces, or why there are none. unfit: whether the template renders, but pieces can't express it."""

    model_config = ConfigDict(frozen=True)

    extraction: Extraction | None = None
    rendered: tuple[str, ...] = ()
    refused: str = ""
    unfit: bool = False


def answer(asked: Asked) -> Answer:
    """Extract, and put what goes wrong into the answer."""
    try:
        with cpu_limit(CPU_SECONDS):
            if asked.conversations:
                renderer = Renderer(asked.template)
                return Answer(rendered=tuple(renderer.render(messages(None, each)) for each in asked.conversations))
            return Answer(extraction=extract(asked.template, asked.source))
    except Unfit as error:
        return Answer(refused=str(error), unfit=True)
    except TemplateRefused as error:
        return Answer(refused=str(error))


def main() -> None:
    """Read one template from stdin and write the answer to stdout."""
    content = sys.stdin.buffer.read()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    said = answer(TypeAdapter(Asked).validate_json(content))
    sys.stdout.write(said.model_dump_json())


if __name__ == "__main__":
    main()
