"""How much a model repeats itself when it writes freely, beside what Keras writes from the same beginning."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.inference.generation import generate
from pipeline.inference.interpreter import TokenModel
from pipeline.inference.reference import Reference

# A run of so many tokens that was there before is a repetition.
RUN = 4


@dataclass(frozen=True)
class Repetition:
    """own and keras: share of the runs of four tokens that were there before, of so many tokens each."""

    tokens: int
    own: float
    keras: float


def measure(model: TokenModel, reference: Reference, stop_tokens: Collection[int]) -> Repetition | None:
    """Write on as far as Keras did; None where it wrote too little to repeat anything."""
    if len(reference.free) <= RUN:
        return None
    written = list(generate(model, reference.free_prompt, len(reference.free), stop_tokens))
    return Repetition(len(reference.free), share(written), share(reference.free))


def share(tokens: Sequence[int]) -> float:
    """Of the runs of four tokens, the share that was there before; 0.0 for less than two runs."""
    runs = [tuple(tokens[at : at + RUN]) for at in range(len(tokens) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if len(runs) > 1 else 0.0
