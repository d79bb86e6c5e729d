"""Keras's own forward pass over whole sequences, and what follows from it: greedy tokens and likelihoods.

Never KerasHub's `generate()`, whose cached decoding is wrong for some families.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from pipeline.conversion.reference_plan import Int32, Plan, Prompt
from pipeline.conversion.weights import Float32
from pipeline.inference import divergence
from pipeline.inference.reference import TextReference, negative_log_likelihood

# How many tokens ahead a greedy pass looks without a drafter.
GUESSES = 4

# Gives tokens, at most so many, that may follow others.
Drafter = Callable[[Sequence[int], int], Sequence[int]]


@dataclass(frozen=True)
class Continuation:
    """Keras's greedy tokens, and by how much the best logit led the second at each."""

    tokens: tuple[int, ...]
    margins: tuple[float, ...]


class Forward(Protocol):
    """A forward pass over whole sequences, independent of the decoder."""

    def logits(self, rows: Sequence[Sequence[int]]) -> Float32:
        """Logits [R,L,V]; shorter rows are padded at the end, which a causal model does not see."""

    def logits_after(self, tokens: Int32, last: int | None = None) -> Float32:
        """Logits [N,V] after each of one row's tokens [N], or after the last ones alone."""

    def logits_of_each(self, rows: Sequence[Int32]) -> Iterator[Float32]:
        """The same after each of every row's tokens, one row's logits at a time."""


class FullForward:
    """Keras's own forward pass over whole sequences, traced once for all shapes where its layers allow that."""

    def __init__(self, causal_lm: Any) -> None:
        def call(tokens: tf.Tensor) -> tf.Tensor:
            return causal_lm({"token_ids": tokens, "padding_mask": tf.ones_like(tokens)}, training=False)

        spec = tf.TensorSpec([None, None], tf.int32)
        self._eager = call
        self._call = tf.function(call, input_signature=[spec], autograph=False)

    def logits(self, rows: Sequence[Sequence[int]]) -> Float32:
        """Logits [R,L,V]; shorter rows are padded at the end, which a causal model does not see."""
        tokens = np.zeros((len(rows), max(len(row) for row in rows)), np.int32)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = row
        try:
            logits = self._call(tf.constant(tokens))
        except tf.errors.OperatorNotAllowedInGraphError:
            # A layer asks for the sequence's length in Python, as Phi-3's scaling does.
            self._call = self._eager
            logits = self._call(tf.constant(tokens))
        return np.asarray(logits, dtype=np.float32)

    def logits_after(self, tokens: Int32, last: int | None = None) -> Float32:
        """Logits [N,V] after each of one row's tokens [N], or after the last ones alone."""
        row: Float32 = self.logits([tokens.tolist()])[0]
        return row if last is None else row[-last:]

    def logits_of_each(self, rows: Sequence[Int32]) -> Iterator[Float32]:
        """The same after each of every row's tokens, one row's logits at a time."""
        return map(self.logits_after, rows)


def continue_greedily(
    forward: Forward, plan: Plan, stop_tokens: Collection[int], drafter: Drafter | None = None
) -> tuple[Continuation, ...]:
    """Keras's greedy continuation of every prompt, by full forward passes over all prompts at once.

    A pass is given drafts of the tokens to come, and all that turn out to be Keras's own choice are accepted, with
    Keras's choice behind them: whatever is drafted, the path is Keras's. The drafts are the drafter's, such as what the
    written file goes on with; without one, what the pass before chose behind its own wrong drafts. Where the passes run
    out a continuation stays shorter.
    """
    accepted: list[list[int]] = [[] for _ in plan.prompts]
    margins: list[list[float]] = [[] for _ in plan.prompts]
    drafts: list[list[int]] = [[] for _ in plan.prompts]
    for _ in range(plan.passes):
        open_rows = [index for index in range(len(plan.prompts)) if not _ended(accepted[index], plan, stop_tokens)]
        if not open_rows:
            break
        known = {index: [*plan.prompts[index].tokens, *accepted[index]] for index in open_rows}
        drafted = {}
        for index in open_rows:
            room = plan.greedy_tokens - len(accepted[index]) - 1
            if drafter is not None:
                drafted[index] = list(drafter(known[index], room)) if room else []
                continue
            count = min(GUESSES, room)
            drafted[index] = (drafts[index] + known[index][-1:] * count)[:count]
        logits = forward.logits([known[index] + drafted[index] for index in open_rows])
        for index, row_logits in zip(open_rows, logits, strict=True):
            behind = len(known[index]) - 1
            choices = row_logits[behind : behind + len(drafted[index]) + 1]
            taken = _accept(choices, drafted[index], accepted[index], margins[index], stop_tokens)
            drafts[index] = [int(token) for token in choices.argmax(-1)[taken:]]
    return tuple(Continuation(tuple(t), tuple(m)) for t, m in zip(accepted, margins, strict=True))


def write_freely(forward: Forward, plan: Plan, stop_tokens: Collection[int], drafter: Drafter) -> tuple[int, ...]:
    """What Keras writes after the plan's beginning of a text, the likeliest token each time, without the stop token."""
    if plan.free is None:
        return ()
    alone = replace(
        plan, prompts=(Prompt("", plan.free.tokens),), greedy_tokens=plan.free.most, passes=plan.free.passes
    )
    (written,) = continue_greedily(forward, alone, stop_tokens, drafter)
    return tuple(token for token in written.tokens if token not in stop_tokens)


def _ended(accepted: list[int], plan: Plan, stop_tokens: Collection[int]) -> bool:
    return len(accepted) >= plan.greedy_tokens or (bool(accepted) and accepted[-1] in stop_tokens)


def _accept(
    choices: Float32, drafted: Sequence[int], accepted: list[int], margins: list[float], stop_tokens: Collection[int]
) -> int:
    """Take Keras's choices as long as the tokens before them are Keras's too; how many were taken."""
    for step, logits in enumerate(choices):
        best = int(logits.argmax())
        second, first = np.partition(logits, -2)[-2:]
        accepted.append(best)
        margins.append(float(first - second))
        if best in stop_tokens or step >= len(drafted) or drafted[step] != best:
            return step + 1
    return len(choices)


def read_texts(forward: Forward, texts: Sequence[Int32]) -> tuple[TextReference, ...]:
    """What Keras holds to come next after every token of each text."""
    return tuple(map(_read_text, texts, forward.logits_of_each(texts)))


def _read_text(tokens: Int32, logits: Float32) -> TextReference:
    pairs = zip(logits[:-1], tokens[1:], strict=True)
    nll = np.array([negative_log_likelihood(row, int(token)) for row, token in pairs], np.float32)
    return TextReference(tokens, *divergence.likeliest(logits), nll)
