"""golden.json: the prompts that the app's own code must continue as the verified file does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm.recipes import QualityLimits
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.quality import PromptOutcome
from pipeline.inference.reference import ConversationTurn
from pipeline.tokenizers.codec import TextCodec
from pipeline.verification.figures import Figures, metrics


def write_golden(
    path: Path,
    info: ModelInfo,
    outcomes: Sequence[PromptOutcome],
    figures: Figures,
    limits: QualityLimits,
    near_tie_margin: float,
    codec: TextCodec | None,
    conversation: Sequence[ConversationTurn] = (),
) -> None:
    """Write `golden.json`: what the artifact writes after each prompt, beside what Keras wrote, and the figures.

    near_tie_margin: the lead of the best logit below which a step is a matter of rounding. conversation: turns whose
    prompts are the last of all.
    """
    golden: dict[str, Any] = {
        "format": 1,
        "recipe": info.recipe,
        "prompts": [
            {
                "text": outcome.reference.text,
                "prompt_tokens": outcome.reference.tokens,
                "keras_tokens": outcome.reference.greedy,
                "tokens": outcome.tokens,
                "margins": outcome.margins,
                "completion": None if codec is None else codec.continue_text(outcome.tokens),
            }
            for outcome in outcomes
        ],
        "conversations": _conversations(outcomes, conversation),
        "figures": {metric.name: metric.value for metric in metrics(figures)},
        "limits": {
            "greedy_agreement": limits.greedy_agreement,
            "divergence": limits.divergence,
            "top1_agreement": limits.top1_agreement,
            "perplexity_ratio": limits.perplexity_ratio,
            "logit_difference": limits.logit_difference,
            "near_tie": limits.near_tie,
            "near_tie_margin": near_tie_margin,
        },
    }
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


def _conversations(outcomes: Sequence[PromptOutcome], turns: Sequence[ConversationTurn]) -> list[dict[str, Any]]:
    """The golden conversation, if there is one; the history of each turn has Keras's answers."""
    asked = outcomes[len(outcomes) - len(turns) :]
    answered = [
        {
            "question": turn.question,
            "prompt_tokens": outcome.reference.tokens,
            "keras_tokens": outcome.reference.greedy,
            "tokens": outcome.tokens,
            "margins": outcome.margins,
            "answer": turn.answer,
        }
        for turn, outcome in zip(turns, asked, strict=True)
    ]
    return [{"system": None, "thinking": False, "turns": answered}] if answered else []
