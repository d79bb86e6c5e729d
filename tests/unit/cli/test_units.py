from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli import units


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (13_245_184, "13.2 MB"), (999_400, "999 kB"),
        (999_900, "1.00 MB"), (128_200_000, "128 MB"), (4_940_000_000, "4.94 GB"), (5e15, "5000 TB"),
    ],
)  # fmt: skip
def test_sizes(count: float, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.045, "45 ms"), (0.0999, "0.1 s"), (4.23, "4.2 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (125, "2 min 05 s"), (3840, "1 h 04 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "now"), (0.5, "now"), (12, "12 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (172_800, "2 days ago")],
)
def test_ages(seconds: float, text: str) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert units.age(now - timedelta(seconds=seconds), now) == text


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert units.percent(0.999) == "99 %"
    assert units.percent(1.0) == "100 %"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3e8, "bytes", "300 MB"), (4.2, "s", "4.2 s"), (4.2, "seconds", "4.2 s"), (45, "ms", "45 ms"),
        (0.985, "share", "98.5 %"), (140.25, "tokens/s", "140.2 tokens/s"), (1.0123456, "ratio", "1.012"), (3, "", "3"),
        (1, "flag", "yes"), (0, "flag", "no"), (21.3, "perplexity", "21.3"),
    ],
)  # fmt: skip
def test_measures(value: float, unit: str, text: str) -> None:
    assert units.measure(value, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (5.4, "5 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s")])
def test_estimates(seconds: float, text: str) -> None:
    assert units.estimate(seconds) == text


def test_counts() -> None:
    assert units.count(1, "job") == "1 job"
    assert units.count(2, "job") == "2 jobs"
