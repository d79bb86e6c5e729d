"""Whether a file with KerasHub's own graph writes what Keras does: only text can be seen, no tokens and no logits.

Keras was fed with the tokens that KerasHub's tokenizer makes in a graph, so that the texts must agree.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from farm.errors import QualityMissed
from farm.recipes import QualityLimits
from pipeline.inference.reference import PromptReference, Reference
from pipeline.inference.text_model import Completion, TextAnswers
from pipeline.tokenizers.codec import REPLACEMENT, TextCodec

# The first run of an interpreter allocates.
TIMED_RUNS = 3


class Writer(Protocol):
    """A model that takes a prompt and nothing else."""

    def answer(self, tokenize: Sequence[bytes], complete: Sequence[Completion]) -> TextAnswers:
        """Write on from prompts."""


@dataclass(frozen=True)
class TextOutcome:
    """How one golden prompt went: the whole text, the steps of Keras's path that it follows, those that count and
    those of them that agree, and whether it follows to the end or parts where two tokens were as good as equal."""

    reference: PromptReference
    text: str
    followed: int
    compared: int
    agreed: int
    equal: bool


@dataclass(frozen=True)
class TextMetrics:
    """seconds: from a prompt to its whole text, the median of some runs."""

    outcomes: tuple[TextOutcome, ...]
    seconds: float

    @property
    def agreement(self) -> float:
        """The share of the steps that count at which the text goes on as Keras's does."""
        compared = sum(outcome.compared for outcome in self.outcomes)
        return sum(outcome.agreed for outcome in self.outcomes) / compared if compared else 1.0

    @property
    def equal(self) -> int:
        """How many prompts are continued exactly as by Keras."""
        return sum(outcome.equal for outcome in self.outcomes)

    def golden(self) -> list[dict[str, Any]]:
        """The prompts for `golden.json`; tokens are those of Keras that the text follows."""
        return [
            {
                "text": outcome.reference.text,
                "prompt_tokens": outcome.reference.tokens,
                "keras_tokens": outcome.reference.greedy,
                "tokens": outcome.reference.greedy[: outcome.followed],
                "margins": outcome.reference.margins[: outcome.followed],
                "completion": outcome.text,
            }
            for outcome in self.outcomes
        ]


def compare_with_keras(
    model: Writer, codec: TextCodec, reference: Reference, stop_tokens: Collection[int], near_tie: float
) -> TextMetrics:
    """Write on from every golden prompt; QualityMissed when there is none.

    tie: a share of the logits' scale; a lead of Keras's best logit below it leaves the choice open.
    """
    prompts = [prompt for prompt in reference.prompts if prompt.text]
    if not prompts:
        raise QualityMissed("No prompt fits into the model to try it with; raise --context or --output-tokens.")
    contents = [(prompt.text or "").encode() for prompt in prompts]
    asked = [Completion(content, None) for content in [*contents, *contents[:1] * TIMED_RUNS]]
    answers = model.answer([], asked).answers
    outcomes = tuple(
        judge(codec, prompt, answer.text, stop_tokens, near_tie * reference.logit_scale)
        for prompt, answer in zip(prompts, answers, strict=False)
    )
    return TextMetrics(outcomes, statistics.median(answer.seconds for answer in answers[-TIMED_RUNS:]))


def judge(
    codec: TextCodec, prompt: PromptReference, written: bytes, stop_tokens: Collection[int], near_tie: float
) -> TextOutcome:
    """How far a text follows Keras's path. tie: a lead of the best logit below which a step does not count."""
    text = written.decode(errors="replace")
    path = prompt.greedy[:-1] if prompt.greedy and prompt.greedy[-1] in stop_tokens else prompt.greedy
    followed = 0
    # Keras's text may end within a character.
    while followed < len(path) and text.startswith(
        codec.decode([*prompt.tokens, *path[: followed + 1]]).rstrip(REPLACEMENT)
    ):
        followed += 1
    begun = text.startswith(codec.decode(prompt.tokens).rstrip(REPLACEMENT))
    ended = len(path) < len(prompt.greedy) and followed == len(path)
    if ended and text == codec.decode([*prompt.tokens, *path]):
        followed += 1
    counted = [margin >= near_tie for margin in prompt.margins]
    agreed = sum(counted[:followed]) if begun else 0
    parted = followed < len(prompt.greedy)
    compared = agreed + (parted and counted[followed]) if begun else sum(counted)
    return TextOutcome(prompt, text, followed, compared, agreed, equal=begun and not parted)


def check_limits(figures: TextMetrics, limits: QualityLimits, recipe: str) -> None:
    """QualityMissed with the first prompt that went otherwise, when too many steps did."""
    if figures.agreement >= limits.greedy_agreement:
        return
    first = next(outcome for outcome in figures.outcomes if outcome.agreed < outcome.compared)
    raise QualityMissed(
        f"The model made with {recipe} is too far from Keras: greedy agreement {figures.agreement:.4f} (at least"
        f" {limits.greedy_agreement}); after {first.reference.text!r} it leaves Keras's path at step {first.followed}"
        f" with {first.text[-80:]!r}; choose a recipe that keeps more of the weights."
    )
