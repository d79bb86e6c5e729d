"""The simulation against the formulas of queueing theory, and against a schedule by hand."""

from __future__ import annotations

import random

import pytest

from benchmarks import queueing

COUNT = 60_000


def test_a_schedule_by_hand() -> None:
    passage = queueing.serve([0.0, 1.0, 1.5, 10.0], [4.0, 2.0, 1.0, 1.0], workers=2)
    assert passage.waits == [0.0, 0.0, 1.5, 0.0]
    assert passage.ends == [4.0, 3.0, 4.0, 11.0]


@pytest.mark.parametrize(("workers", "busy"), [(1, 0.5), (1, 0.7), (3, 0.7), (8, 0.6)])
def test_exponential_service(workers: int, busy: float) -> None:
    chance = random.Random(workers)  # noqa: S311 # reproducible
    rate, service = busy * workers / 2.0, 2.0
    services = [chance.expovariate(1 / service) for _ in range(COUNT)]
    found = queueing.serve(queueing.poisson(rate, COUNT, chance), services, workers).mean_wait
    assert found == pytest.approx(queueing.mean_wait_exponential(rate, service, workers), rel=0.1)


@pytest.mark.parametrize("busy", [0.5, 0.7])
def test_constant_service(busy: float) -> None:
    chance = random.Random(2)  # noqa: S311 # reproducible
    found = queueing.serve(queueing.poisson(busy / 3.0, COUNT, chance), [3.0] * COUNT, 1).mean_wait
    assert found == pytest.approx(queueing.mean_wait_constant(busy / 3.0, 3.0), rel=0.1)


def test_the_formulas_agree_with_the_textbook() -> None:
    # One worker: busy / (rate of service - rate of arrivals); and half of it where the time is always the same.
    assert queueing.mean_wait_exponential(0.8, 1.0, 1) == pytest.approx(4.0)
    assert queueing.mean_wait_constant(0.8, 1.0) == pytest.approx(2.0)
    # Two workers, 0.75 busy each: Erlang's C is 9/14.
    assert queueing.mean_wait_exponential(1.5, 1.0, 2) == pytest.approx(9 / 14 / 0.5)


def test_the_smallest_number_that_fits() -> None:
    assert [queueing.smallest(lambda n, needed=needed: n >= needed, 1) for needed in (1, 2, 7, 100)] == [1, 2, 7, 100]
    assert queueing.smallest(lambda _: True, 5) == 5


def test_the_share_of_waits() -> None:
    passage = queueing.Passage([100.0] + [float(each) for each in range(1, 10)], [])
    assert passage.mean_wait == 5.0
    assert passage.wait_of(0.5) == 5.0
    assert passage.wait_of(1.0) == 9.0
