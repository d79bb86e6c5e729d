"""Whether TensorFlow of the AAR's version writes what the verified model wrote."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from farm.errors import ReferenceRunDiffers
from pipeline.android.golden import Golden, GoldenPrompt
from pipeline.inference.text_model import Completion, TextAnswer


@dataclass(frozen=True)
class ReferenceRunMetrics:
    """prompts: that were compared; equal: that went on in the same way to their end; near_ties: where the rest was not
    compared since two tokens were as good as equal; agreement: the share (0 to 1) of the compared steps that gave the
    same token, each prompt up to the step at which its text is another."""

    prompts: int
    equal: int
    near_ties: int
    agreement: float


def askable(golden: Golden, prompt_bytes: int) -> tuple[GoldenPrompt, ...]:
    """The golden prompts that are text and short enough for a model that takes text."""
    return tuple(
        prompt
        for prompt in golden.prompts
        if prompt.text and prompt.steps and len(prompt.text.encode()) <= prompt_bytes
    )


def completions(prompts: Sequence[GoldenPrompt]) -> list[Completion]:
    """What to ask the reference environment: each prompt, for as many tokens as were verified."""
    return [Completion((prompt.text or "").encode(), prompt.steps) for prompt in prompts]


def compare(
    prompts: Sequence[GoldenPrompt], answers: Sequence[TextAnswer], stop_tokens: Collection[int],
    near_tie: float, least_agreement: float, version: str,
) -> ReferenceRunMetrics:  # fmt: skip
    """ReferenceRunDiffers when fewer steps agree than `least_agreement` (0 to 1), or a prompt is read otherwise.

    near_tie: a lead of the best logit below which either token is right. Kernels of other runtimes and processors round
    otherwise, so that a quantized model may leave its path at any step; every token is due in float32 alone.
    """
    near_ties = equal = agreed = 0
    departures: list[tuple[int, int]] = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        expected = prompt.written(stop_tokens)
        if answer.prompt_tokens != prompt.prompt_tokens:
            raise ReferenceRunDiffers(
                f"TensorFlow {version} reads golden prompt {number} as other tokens than the verified model; report it"
                " with the model.tflite."
            )
        step = _first_difference(answer.tokens, expected)
        if step is None:
            equal, agreed = equal + 1, agreed + len(expected)
            continue
        agreed += step
        if step < len(prompt.margins) and prompt.margins[step] < near_tie:
            near_ties += 1
        else:
            departures.append((number, step))
    agreement = agreed / max(agreed + len(departures), 1)
    if departures and agreement < least_agreement:
        number, step = departures[0]
        raise ReferenceRunDiffers(
            f"TensorFlow {version} leaves golden prompt {number} at token {step}, and {agreement:.1%} of the steps"
            f" agree where {least_agreement:.0%} are needed: the app would write other text than what was verified;"
            " choose another recipe, or an AAR of another version with --aar."
        )
    return ReferenceRunMetrics(len(prompts), equal, near_ties, agreement)


def _first_difference(found: Sequence[int], expected: Sequence[int]) -> int | None:
    if tuple(found) == tuple(expected):
        return None
    pairs = zip(found, expected, strict=False)
    return next((step for step, (one, other) in enumerate(pairs) if one != other), min(len(found), len(expected)))
