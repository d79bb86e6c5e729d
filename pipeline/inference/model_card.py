"""`model-card.json`: what the app says about the quality of its model, as it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class ModelCard(BaseModel):
    """The content of `model-card.json`: shares from 0 to 1, perplexities per token.

    Nothing in it depends on the machine, so that equal models make equal packages. licence: what the model's own
    metadata say, None for nothing. divergence in nats, divergence_p99 its 99th percentile over the positions;
    perplexity_ratio_error: the standard error of the perplexity over Keras's; repetition: the share of runs of four
    tokens that were there before, in free writing. What was not measured is None: all but the
    greedy steps of a model that shows only text, logit_difference of a recipe that rounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format: Literal[1] = 1
    model_bytes: int
    licence: str | None
    greedy_agreement: float
    greedy_steps: int
    logit_difference: float | None = None
    divergence: float | None = None
    divergence_p99: float | None = None
    top1_agreement: float | None = None
    perplexity: float | None = None
    keras_perplexity: float | None = None
    perplexity_ratio_error: float | None = None
    repetition: float | None = None
    keras_repetition: float | None = None

    def write(self, path: Path) -> None:
        """Write the file, readable for people."""
        path.write_text(self.model_dump_json(indent=2) + "\n")
