"""Jobs that wait for workers: a simulation, and the textbook's formulas that it is compared with."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The first part of a run, in which the queue is emptier than it will be, is not counted.
WARM_UP = 0.1


@dataclass(frozen=True)
class Passage:
    """What became of jobs at one kind of worker. waits and ends in seconds, in the order of the arrivals."""

    waits: list[float]
    ends: list[float]

    @property
    def mean_wait(self) -> float:
        """Over all jobs but the first."""
        counted = self.waits[round(WARM_UP * len(self.waits)) :]
        return sum(counted) / len(counted)

    def wait_of(self, share: float) -> float:
        """So long, or less, waits this share of the jobs."""
        counted = sorted(self.waits[round(WARM_UP * len(self.waits)) :])
        return counted[min(len(counted) - 1, math.floor(share * len(counted)))]


def serve(arrivals: Sequence[float], services: Sequence[float], workers: int) -> Passage:
    """Jobs that arrive at these moments and take so long each, the first come first served, by so many workers."""
    free = [0.0] * workers
    waits, ends = [], []
    for arrival, service in zip(arrivals, services, strict=True):
        began = max(arrival, heapq.heappop(free))
        heapq.heappush(free, began + service)
        waits.append(began - arrival)
        ends.append(began + service)
    return Passage(waits, ends)


def poisson(rate: float, count: int, chance: random.Random) -> list[float]:
    """Moments of independent arrivals, so many a second."""
    moment = 0.0
    moments = []
    for _ in range(count):
        moment += chance.expovariate(rate)
        moments.append(moment)
    return moments


def smallest(fits: Callable[[int], bool], least: int) -> int:
    """The smallest number from `least` on that fits, where more always fit too."""
    most = max(1, least)
    while not fits(most):
        most *= 2
    low = max(1, least)
    while low < most:
        middle = (low + most) // 2
        low, most = (low, middle) if fits(middle) else (middle + 1, most)
    return low


def mean_wait_exponential(rate: float, service: float, workers: int) -> float:
    """M/M/c by Erlang's C formula: seconds of waiting where service times are exponential with this mean."""
    load = rate * service
    busy = load / workers
    # Built up by the recursion of Erlang's B formula, which does not overflow.
    blocking = 1.0
    for number in range(1, workers + 1):
        blocking = load * blocking / (number + load * blocking)
    delayed = blocking / (1 - busy * (1 - blocking))
    return delayed * service / (workers * (1 - busy))


def mean_wait_constant(rate: float, service: float) -> float:
    """M/D/1 by Pollaczek and Khinchine: seconds of waiting for one worker that always takes as long."""
    busy = rate * service
    return busy * service / (2 * (1 - busy))
