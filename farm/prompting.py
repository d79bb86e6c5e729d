"""How a model wants to be spoken to: as a text that it continues, or as a question put into its template."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from farm.errors import BadPromptTemplate

PLACE = "{prompt}"
LONGEST_TEMPLATE = 4000
MOST_SUGGESTIONS = 8
LONGEST_SUGGESTION = 200


class Mode(StrEnum):
    """What an app does with what is typed: write on from it, answer it, or answer it in a conversation."""

    COMPLETE = "complete"
    INSTRUCT = "instruct"
    CHAT = "chat"


class Prompting(BaseModel):
    """What a model says of itself, below the key `farm` of its metadata.

    prompt_template: the text that the model reads, `{prompt}` where the question goes; of a chat, its first question.
    prompts: questions, or beginnings of texts, that an app may suggest.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Mode = Mode.COMPLETE
    prompt_template: str = PLACE
    prompts: tuple[str, ...] = Field(default=(), max_length=MOST_SUGGESTIONS)

    @field_validator("prompt_template")
    @classmethod
    def _template(cls, value: str) -> str:
        return require_template(value)

    @field_validator("prompts")
    @classmethod
    def _prompts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not text.strip() or len(text) > LONGEST_SUGGESTION or not text.isprintable():
                raise ValueError(f"a suggested prompt must be one line of 1 to {LONGEST_SUGGESTION} characters")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.mode is Mode.COMPLETE and self.prompt_template != PLACE:
            raise BadPromptTemplate(
                "A prompt template applies to the modes instruct and chat only; leave it out or change the mode."
            )
        return self

    def changed(self, mode: Mode | None, template: str | None, prompts: tuple[str, ...] = ()) -> Prompting:
        """The same with what a job or a user wishes; a template alone makes the mode `instruct`."""
        wanted = mode or (self.mode if template is None else Mode.INSTRUCT)
        kept = PLACE if wanted is Mode.COMPLETE else self.prompt_template
        return Prompting(
            mode=wanted, prompt_template=kept if template is None else template, prompts=prompts or self.prompts
        )

    def fill(self, prompt: str) -> str:
        """What the model reads."""
        return self.prompt_template.replace(PLACE, prompt, 1)

    def question(self, filled: str) -> str | None:
        """What was typed, of what the model reads; None when that was not made by this template."""
        before, _, after = self.prompt_template.partition(PLACE)
        whole = filled.startswith(before) and filled.endswith(after) and len(filled) >= len(before) + len(after)
        return filled[len(before) : len(filled) - len(after)] if whole else None


def require_template(text: str) -> str:
    """The template itself, or BadPromptTemplate."""
    if text.count(PLACE) != 1:
        raise BadPromptTemplate(
            f"The prompt template {text[:60]!r} must hold {PLACE} once, where the question goes, as in"
            f" 'Question: {PLACE}\\nAnswer:'."
        )
    if len(text) > LONGEST_TEMPLATE or "\0" in text:
        raise BadPromptTemplate(
            f"A prompt template is plain text of at most {LONGEST_TEMPLATE} characters; shorten it."
        )
    return text
