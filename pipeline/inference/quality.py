"""How far a written artifact is from Keras: greedy tokens and logits, and whether its signatures agree.

All of it goes through the interpreter on the file itself, so that it covers conversion, quantization and file alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.inference import divergence
from pipeline.inference.generation import greedy
from pipeline.inference.interpreter import Float32, TokenModel
from pipeline.inference.prefill import Feed
from pipeline.inference.reference import PromptReference, Reference, TextReference, centre


@dataclass(frozen=True)
class PromptOutcome:
    """How one golden prompt went.

    compared: steps on Keras's greedy path that count; agreed: those at which the artifact's best token is Keras's;
    near_ties: steps left out. tokens: what the artifact writes by itself, with margins of its best logit over the
    second.
    """

    reference: PromptReference
    compared: int
    agreed: int
    near_ties: int
    tokens: tuple[int, ...]
    margins: tuple[float, ...]

    @property
    def identical(self) -> bool:
        """Whether the artifact by itself writes what Keras writes, token for token."""
        return self.tokens == self.reference.greedy


def run_prompt(
    model: TokenModel, prompt: PromptReference, stop_tokens: Collection[int], near_tie: float
) -> PromptOutcome:
    """Follow Keras's greedy path, and then, from where the artifact would have left it, the artifact's own.

    tie: a lead of Keras's best logit below which a step does not count.
    """
    model.rewind()
    compared = agreed = near_ties = 0
    own: list[int] = []
    margins: list[float] = []
    parted = False
    logits = model.read(prompt.tokens)
    for index, (expected, lead) in enumerate(zip(prompt.greedy, prompt.margins, strict=True)):
        best = greedy(logits)
        counts = lead >= near_tie
        compared += counts
        near_ties += not counts
        agreed += counts and best == expected
        if not parted:
            own.append(best)
            margins.append(margin(logits))
            parted = best != expected
        if index + 1 < len(prompt.greedy):
            logits = model.step(expected)
    if parted:
        _write_on(model, prompt, stop_tokens, own, margins)
    return PromptOutcome(prompt, compared, agreed, near_ties, tuple(own), tuple(margins))


def _write_on(
    model: TokenModel, prompt: PromptReference, stop_tokens: Collection[int], own: list[int], margins: list[float]
) -> None:
    """Let the artifact go on from its first token that is not Keras's, as far as Keras wrote."""
    model.rewind(len(prompt.tokens) + len(own) - 1)
    while len(own) < len(prompt.greedy) and own[-1] not in stop_tokens:
        logits = model.step(own[-1])
        own.append(greedy(logits))
        margins.append(margin(logits))


def margin(logits: Float32) -> float:
    """By how much the best logit leads the second."""
    second, best = np.partition(logits, -2)[-2:]
    return float(best - second)


def largest_logit_difference(model: TokenModel, reference: Reference) -> float:
    """Largest |artifact - Keras| of centred logits over the probe tokens, as a share of `logit_scale`; NaN if any is.

    Every token is decoded once by itself, and once read in calls of the verify signature; then each prefill signature
    reads a part of the tokens, full and padded, and so does the usual cut of a prompt, and the next tokens are decoded
    behind it.
    """
    tokens = [int(token) for token in reference.probe_tokens][: model.contract.context]
    model.rewind()
    differences = [_difference(model.step(token), reference.centred_logits[at]) for at, token in enumerate(tokens)]
    scored = enumerate(divergence.read(model, tokens))
    differences += [_difference(row, reference.centred_logits[at]) for at, row in scored]
    for feeds, count in _prefills(model, len(tokens)):
        model.rewind()
        model.prefill(tokens[:count], feeds)
        for at in range(count, min(count + 2, len(tokens))):
            differences.append(_difference(model.step(tokens[at]), reference.centred_logits[at]))
    # Python's max passes over a NaN.
    return float(np.max(differences)) / reference.logit_scale


def _prefills(model: TokenModel, available: int) -> Iterator[tuple[Sequence[Feed] | None, int]]:
    """Ways to read the first tokens: the calls (None for the usual cut), and how many tokens that are."""
    most = available - 1
    yield None, most
    for feed in model.feeds_of_every_kind(most):
        yield [feed], feed.count


def largest_cache_change(model: TokenModel, reference: Reference) -> float:
    """Largest change that any signature makes to cache rows before those that it is to write: 0.0 for a sound file."""
    tokens = [int(token) for token in reference.probe_tokens[:2]]
    model.rewind()
    model.prefill(tokens)
    before = model.caches()
    room = model.contract.context - len(tokens)
    lengths = {1, *(feed.length for feed in model.feeds_of_every_kind(room))}
    calls: list[Callable[[], object]] = [
        partial(model.prefill, (tokens * length)[:length], [Feed(length, length)])
        for length in sorted(lengths)
        if length <= room
    ]
    calls.append(partial(model.score, tokens[: model.room_to_score()]))
    changes = [0.0]
    for call in calls:
        call()
        model.rewind(len(tokens))
        changes += [_change(before[name], after, len(tokens)) for name, after in model.caches().items()]
    # Python's max passes over a NaN.
    return float(np.max(changes))


def _change(before: Float32, after: Float32, rows: int) -> float:
    return float(np.abs(after[:, :, :rows] - before[:, :, :rows]).max(initial=0.0))


def _difference(actual: Float32, expected: Float32) -> float:
    return float(np.abs(centre(actual) - expected).max())


def prefill_divergence(model: TokenModel, text: TextReference) -> float:
    """The mean divergence from Keras of the next two tokens behind every way to read the text's first tokens in
    calls of the prefill signatures; 0.0 where the text is too short for any."""
    tokens = text.tokens[: model.contract.context].tolist()
    found = []
    for feeds, count in _prefills(model, len(tokens)):
        if count < 1:
            continue
        model.rewind()
        model.prefill(tokens[:count], feeds)
        behind = [model.step(token) for token in tokens[count : count + 2]]
        found += [row.divergence for row in divergence.compare(text, behind, count)]
    return float(np.mean(found)) if found else 0.0
