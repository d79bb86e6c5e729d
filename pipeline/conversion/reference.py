"""`reference.npz`: what Keras's full forward pass says, the measure for the written file."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.conversion.full_forward import Continuation
from pipeline.conversion.reference_plan import Plan
from pipeline.conversion.weights import Float32
from pipeline.inference.reference import NONE, ConversationTurn, TextReference


@dataclass(frozen=True)
class Reference:
    """Keras's answers. probe_logits [N,V] after each probe token; texts: what it holds to come next in each text;
    start_token and stop_tokens: behind which and up to which it wrote; free: what it wrote on with at length;
    conversation: turns, whose prompts are the plan's last."""

    plan: Plan
    continuations: tuple[Continuation, ...]
    probe_logits: Float32
    texts: tuple[TextReference, ...]
    start_token: int | None
    stop_tokens: tuple[int, ...]
    free: tuple[int, ...] = ()
    conversation: tuple[ConversationTurn, ...] = ()

    @property
    def perplexity(self) -> float:
        """Keras's on the texts."""
        return float(np.exp(np.concatenate([text.nll for text in self.texts]).astype(np.float64).mean()))

    def write(self, path: Path) -> None:
        """Write `reference.npz`."""
        arrays: dict[str, NDArray[Any]] = {
            "prompt_texts": np.array([prompt.text for prompt in self.plan.prompts]),
            "probe_tokens": self.plan.probe_tokens,
            "probe_logits": self.probe_logits,
            "texts": np.array(len(self.texts)),
            "questions": np.array([prompt.question for prompt in self.plan.prompts]),
            "start_token": np.array(NONE if self.start_token is None else self.start_token),
            "stop_tokens": np.array(self.stop_tokens, np.int64),
            "conversation": np.array([astuple(turn) for turn in self.conversation], np.str_).reshape(-1, 3),
            "free_prompt": np.array([] if self.plan.free is None else self.plan.free.tokens, np.int32),
            "free": np.array(self.free, np.int32),
            "answer_end": np.array(NONE if self.plan.answer_end is None else self.plan.answer_end),
        }
        for index, (prompt, continuation) in enumerate(zip(self.plan.prompts, self.continuations, strict=True)):
            arrays[f"prompt_{index}"] = np.array(prompt.tokens, np.int32)
            arrays[f"greedy_{index}"] = np.array(continuation.tokens, np.int32)
            arrays[f"margin_{index}"] = np.array(continuation.margins, np.float32)
        for index, text in enumerate(self.texts):
            arrays[f"text_{index}"] = text.tokens
            arrays[f"likeliest_{index}"] = text.likeliest
            arrays[f"log_probabilities_{index}"] = text.log_probabilities
            arrays[f"nll_{index}"] = text.nll
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
