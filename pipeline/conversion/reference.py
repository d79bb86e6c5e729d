"""`reference.npz`: what Keras's full forward pass says, the measure for the written file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.conversion.full_forward import Continuation
from pipeline.conversion.reference_plan import Plan
from pipeline.conversion.weights import Float32


@dataclass(frozen=True)
class Reference:
    """Keras's answers. probe_logits [N,V] after each forced token; held_out_nll [M-1] in nats of each token but the
    first."""

    plan: Plan
    continuations: tuple[Continuation, ...]
    probe_logits: Float32
    held_out_nll: Float32

    @property
    def perplexity(self) -> float:
        """Keras's on the held-out text."""
        return float(np.exp(self.held_out_nll.astype(np.float64).mean()))

    def write(self, path: Path) -> None:
        """Write `reference.npz`."""
        arrays: dict[str, NDArray[Any]] = {
            "prompt_texts": np.array([prompt.text for prompt in self.plan.prompts]),
            "probe_tokens": self.plan.probe_tokens,
            "probe_logits": self.probe_logits,
            "held_out_tokens": self.plan.held_out_tokens,
            "held_out_nll": self.held_out_nll,
        }
        for index, (prompt, continuation) in enumerate(zip(self.plan.prompts, self.continuations, strict=True)):
            arrays[f"prompt_{index}"] = np.array(prompt.tokens, np.int32)
            arrays[f"greedy_{index}"] = np.array(continuation.tokens, np.int32)
            arrays[f"margin_{index}"] = np.array(continuation.margins, np.float32)
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
