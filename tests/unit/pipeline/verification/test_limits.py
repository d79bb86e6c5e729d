"""Each limit by itself: at it, beyond it, and with a NaN."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from farm.recipes import QualityLimits
from pipeline.verification.limits import PREFILL_SLACK, missed_limits

LIMITS = QualityLimits(
    divergence=0.01,
    top1_agreement=0.9,
    perplexity_ratio=1.1,
    greedy_agreement=0.8,
    near_tie=0.001,
    logit_difference=0.5,
)
# Exactly at each limit.
AT_LIMITS = {
    "mean": 0.01, "prefill": PREFILL_SLACK * 0.01, "ratio": 1.1, "top1": 0.9, "greedy": 0.8, "logit": 0.5,
}  # fmt: skip


def measured(**changed: float | None) -> Any:
    found = AT_LIMITS | changed
    divergence = SimpleNamespace(mean=found["mean"], ratio=found["ratio"], top1_agreement=found["top1"])
    return SimpleNamespace(
        divergence=divergence, prefill_divergence=found["prefill"], agreement=found["greedy"],
        logit_difference=found["logit"],
    )  # fmt: skip


def test_a_figure_at_its_limit_is_good_enough() -> None:
    assert missed_limits(measured(), LIMITS) == []


@pytest.mark.parametrize(
    ("figure", "beyond", "words"),
    [
        ("mean", 0.011, "divergence from Keras 0.011 (at most 0.01)"),
        ("prefill", 0.11, "divergence behind a prefill 0.11 (at most 0.1)"),
        ("ratio", 1.2, "perplexity ratio 1.2 (at most 1.1)"),
        ("logit", 0.6, "largest logit difference 0.6 (at most 0.5)"),
        ("top1", 0.89, "top-1 agreement 0.8900 (at least 0.9)"),
        ("greedy", 0.79, "greedy agreement 0.7900 (at least 0.8)"),
    ],
)
def test_each_figure_beyond_its_limit_is_named_alone(figure: str, beyond: float, words: str) -> None:
    assert missed_limits(measured(**{figure: beyond}), LIMITS) == [words]


@pytest.mark.parametrize("figure", AT_LIMITS)
def test_a_nan_misses_every_limit(figure: str) -> None:
    (missed,) = missed_limits(measured(**{figure: math.nan}), LIMITS)
    assert " nan " in missed


def test_single_logits_count_only_where_the_recipe_limits_them() -> None:
    assert missed_limits(measured(logit=9.0), replace(LIMITS, logit_difference=None)) == []
    assert missed_limits(measured(logit=None), LIMITS) == []
