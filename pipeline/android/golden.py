"""What the host run reads of `golden.json`: prompts and the tokens that the verified model wrote after them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from farm.errors import ArtifactDamaged


class GoldenPrompt(BaseModel):
    """One prompt. text: None for a prompt that is only tokens. prompt_tokens begin with the model's start token, if it
    has one. tokens: the model's greedy continuation. margins: by how much the best logit leads at each step."""

    model_config = ConfigDict(frozen=True)

    text: str | None
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    margins: tuple[float, ...]

    @property
    def steps(self) -> int:
        """How many tokens the model chose, an end token that is not written down included."""
        return max(len(self.tokens), len(self.margins))

    def text_tokens(self, start_token: int | None) -> tuple[int, ...]:
        """The text's own tokens."""
        has_start = start_token is not None and self.prompt_tokens[:1] == (start_token,)
        return self.prompt_tokens[1:] if has_start else self.prompt_tokens

    def written(self, stop_tokens: Collection[int]) -> tuple[int, ...]:
        """The continuation without the stop token."""
        return self.tokens[:-1] if self.tokens and self.tokens[-1] in stop_tokens else self.tokens


class GoldenTurn(BaseModel):
    """A turn of a conversation. prompt_tokens: all that is read before the answer; answer: what the turns behind it
    have for it."""

    model_config = ConfigDict(frozen=True)

    question: str
    prompt_tokens: tuple[int, ...]
    answer: str


class GoldenConversation(BaseModel):
    """A conversation's turns."""

    model_config = ConfigDict(frozen=True)

    system: str | None = None
    thinking: bool = False
    turns: tuple[GoldenTurn, ...]


class GoldenLimits(BaseModel):
    """tie: the lead of the best logit, as a share of the largest logit, below which a step is a matter of rounding."""

    model_config = ConfigDict(frozen=True)

    near_tie: float


class Golden(BaseModel):
    """The prompts of `golden.json`, and conversations, whose turns are among the prompts as tokens alone."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    prompts: tuple[GoldenPrompt, ...]
    limits: GoldenLimits
    conversations: tuple[GoldenConversation, ...] = ()


def read(path: Path) -> Golden:
    """Read the file; ArtifactDamaged when it has another form."""
    try:
        return Golden.model_validate_json(path.read_bytes())
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ArtifactDamaged(f"golden.json is damaged at {place or 'its beginning'}; run the job again.") from error
