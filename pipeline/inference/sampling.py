"""Choosing the next token: the one definition, which the app's `Sampling` computes to the last bit as well.

docs/sampling.md writes the arithmetic down; tests/fixtures/sampling.json has golden vectors for both.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.generation import Sampler, greedy

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MASK = (1 << 64) - 1
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
# Tokens less likely than that beside the likeliest one are never drawn.
LEAST_WEIGHT = 2.0**-40
# exp: the logarithm of 2 in two parts, of which the first has room for a product without rounding.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
INVERSE_LN2 = 1.44269504088896338700
TERMS = 13
# Below, nothing is left of a weight.
LEAST_EXPONENT = -700.0


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    temperature: 0 for the likeliest each time. top_k: draw among so many, 0 for all. top_p: among the likeliest that
    together reach that share, 1 for all. min_p: among those that are at least that times as likely as the likeliest, 0
    for all. repetition_penalty: above 1, tokens that prompt or text have become less likely. seed: None for another
    text each time. The fractions count as float32.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken each time."""
        return self.temperature == 0 and self.repetition_penalty == 1

    def sampler(self, prompt: Collection[int], attempt: int = 0) -> Sampler:
        """What chooses the tokens of one text after the prompt; attempt: of several, each has random numbers of its
        own."""
        if self.greedy:
            return greedy
        return _Chooser(self, prompt, attempt)


GREEDY = Sampling()


class SplitMix64:
    """Random numbers from 64 bits of state (Steele, Lea and Flood, 2014)."""

    def __init__(self, seed: int):
        self._state = seed & MASK

    def next_share(self) -> float:
        """A number from 0 to below 1, of 53 bits."""
        self._state = (self._state + STEP) & MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * FIRST) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * SECOND) & MASK
        return float((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53


class _Chooser:
    """Chooses token by token, and remembers what was there."""

    def __init__(self, sampling: Sampling, prompt: Collection[int], attempt: int):
        seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        self._sampling = sampling
        self._seen = set(prompt)
        self._random = SplitMix64(seed * 1000 + attempt)

    def __call__(self, logits: Float32) -> int:
        """The next token from logits [V]."""
        penalty = np.float32(self._sampling.repetition_penalty)
        if penalty != 1:
            seen = np.fromiter(self._seen, np.int64, len(self._seen))
            logits = np.array(logits, np.float32)
            before = logits[seen]
            logits[seen] = np.where(before > 0, before / penalty, before * penalty)
        token = greedy(logits) if self._sampling.temperature == 0 else self._draw(logits)
        self._seen.add(token)
        return token

    def _draw(self, logits: Float32) -> int:
        tokens, weights = candidates(logits, self._sampling)
        sums = np.cumsum(weights)
        wanted = self._random.next_share() * float(sums[-1])
        place = int(np.searchsorted(sums, wanted, side="right"))
        return int(tokens[min(place, len(tokens) - 1)])


def candidates(logits: Float32, sampling: Sampling) -> tuple[NDArray[np.int64], Float64]:
    """The tokens that may be drawn and their weights, the likeliest with 1: by id, or the likeliest first where top_k
    or top_p ask for it."""
    differences = (logits - logits.max()).astype(np.float64)
    weights = exponential(differences / float(np.float32(sampling.temperature)))
    tokens = np.flatnonzero(weights >= LEAST_WEIGHT)
    top_p, min_p = float(np.float32(sampling.top_p)), float(np.float32(sampling.min_p))
    if sampling.top_k > 0 or top_p < 1:
        tokens = tokens[np.argsort(-logits[tokens], kind="stable")]
        if sampling.top_k > 0:
            tokens = tokens[: sampling.top_k]
        if top_p < 1:
            sums = np.cumsum(weights[tokens])
            tokens = tokens[: int(np.searchsorted(sums, float(sums[-1]) * top_p)) + 1]
    tokens = tokens[weights[tokens] >= min_p]
    return tokens, weights[tokens]


def exponential(values: Float64) -> Float64:
    """e to the power of values of at most 0, by nothing but sums and products, so that all machines agree."""
    values = np.maximum(values, LEAST_EXPONENT)
    powers = np.floor(values * INVERSE_LN2 + 0.5)
    rest = (values - powers * LN2_HIGH) - powers * LN2_LOW
    result = np.ones_like(rest)
    for term in range(TERMS, 0, -1):
        result = 1.0 + rest * result / float(term)
    return np.ldexp(result, powers.astype(np.int32))


def golden_vectors() -> list[dict[str, object]]:
    """Logits, settings and the tokens drawn from them, for other implementations."""
    numbers = SplitMix64(20261130)
    cases: list[dict[str, object]] = []
    for number, sampling in enumerate(GOLDEN):
        size = 40 + 7 * number
        rows = [[round(numbers.next_share() * 16 - 8, 3) for _ in range(size)] for _ in range(4)]
        prompt = [3, 5, 3]
        choose = sampling.sampler(prompt, attempt=number % 3)
        tokens = [int(choose(np.array(rows[step % 4], np.float32))) for step in range(32)]
        cases.append({**vars(sampling), "attempt": number % 3, "prompt": prompt, "logits": rows, "tokens": tokens})
    return cases


GOLDEN: Sequence[Sampling] = (
    Sampling(),
    Sampling(repetition_penalty=1.3),
    Sampling(temperature=1.0, seed=1),
    Sampling(temperature=0.7, seed=42),
    Sampling(temperature=1.5, top_k=5, seed=-3),
    Sampling(temperature=1.0, top_p=0.9, seed=7),
    Sampling(temperature=0.8, top_k=10, top_p=0.5, seed=2**40),
    Sampling(temperature=2.0, min_p=0.05, seed=9),
    Sampling(temperature=1.2, top_k=20, top_p=0.95, min_p=0.1, repetition_penalty=1.2, seed=11),
    Sampling(temperature=0.1, top_p=0.3, seed=2**63 - 1),
)
