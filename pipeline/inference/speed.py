"""Measuring a model: how long a prompt takes, and how many tokens it writes a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.inference.generation import greedy
from pipeline.inference.interpreter import TokenModel


@dataclass(frozen=True)
class Speed:
    """prefill_seconds: from the prompt to its first logits, for `prompt_tokens` tokens; decode_rate in tokens/s."""

    prompt_tokens: int
    prefill_seconds: float
    decode_rate: float


def measure_speed(model: TokenModel, prompt: Sequence[int], steps: int, runs: int = 3) -> Speed:
    """The medians of `runs` runs, after the prompt was read once to fill caches and pack weights."""
    prefill, rate = [], []
    model.rewind()
    model.read(prompt)
    for _ in range(runs):
        model.rewind()
        started = time.perf_counter()
        token = greedy(model.read(prompt))
        first = time.perf_counter()
        for _ in range(steps):
            token = greedy(model.step(token))
        prefill.append(first - started)
        rate.append(steps / (time.perf_counter() - first))
    return Speed(len(prompt), statistics.median(prefill), statistics.median(rate))
