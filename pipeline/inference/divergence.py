"""How far a file's predictions are from Keras's on text: the measures that tell a sound file from a broken one.

All of them are teacher-forced: both models read the same text behind the start token, and what each holds to come next
is compared after every token. Of Keras's distribution the likeliest tokens are known one by one and the rest together,
so that the divergence is a lower bound, exact where the vocabulary is small.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.interpreter import TokenModel
from pipeline.inference.reference import Float32, Int32, TextReference

Float64 = NDArray[np.float64]

# So many tokens of Keras's distribution are kept; the rest of it holds a few thousandths of the probability.
LIKELIEST = 1024
# A broken model's likelihood can be too small for its perplexity to be a float.
LARGEST_NLL = math.log(sys.float_info.max)
SMALLEST = 1e-30


@dataclass(frozen=True)
class Divergence:
    """What was measured over all positions.

    mean and percentile_99: of the Kullback-Leibler divergence from Keras, in nats. top1_agreement: share of positions
    at which both hold the same token to be the likeliest. perplexity and keras_perplexity per token, and the
    ratio's standard error.
    """

    positions: int
    mean: float
    percentile_99: float
    top1_agreement: float
    perplexity: float
    keras_perplexity: float
    ratio_error: float

    @property
    def ratio(self) -> float:
        """The file's perplexity over Keras's."""
        return self.perplexity / self.keras_perplexity


@dataclass(frozen=True)
class Row:
    """One position: divergence in nats, whether the likeliest token is Keras's, and the file's negative
    log-likelihood of the next token, None behind the last."""

    divergence: float
    agrees: bool
    nll: float | None


def likeliest(logits: Float32, count: int = LIKELIEST) -> tuple[Int32, Float32]:
    """The `count` likeliest tokens [N,K] after each of N positions and their log-probabilities [N,K], from [N,V]."""
    kept = min(count, logits.shape[1])
    found = np.argpartition(-logits, kept - 1, axis=1)[:, :kept]
    order = np.argsort(-np.take_along_axis(logits, found, 1), axis=1, kind="stable")
    found = np.take_along_axis(found, order, 1)
    taken = np.take_along_axis(logits, found, 1) - _log_total(logits)[:, None]
    return found.astype(np.int32), taken.astype(np.float32)


def measure(model: TokenModel, texts: Sequence[TextReference]) -> Divergence:
    """Read every text with the file, as far as it fits into the context."""
    rows: list[Row] = []
    keras: list[float] = []
    for text in texts:
        length = min(len(text.tokens), model.contract.context)
        rows += compare(text, read(model, text.tokens[:length].tolist()))
        keras += text.nll[: length - 1].tolist()
    return summarise(rows, keras)


def read(model: TokenModel, tokens: Sequence[int]) -> Iterator[Float32]:
    """The logits [V] after each token, as many in a call as the model takes, from position 0."""
    model.rewind()
    while model.position < len(tokens):
        yield from model.score(tokens[model.position : model.position + model.room_to_score()])


def compare(text: TextReference, logits: Iterable[Float32], first: int = 0) -> Iterator[Row]:
    """The rows of the positions from `first` on, for as many as there are logits [V]."""
    for at, row in enumerate(logits, first):
        known, log_p = text.likeliest[at], text.log_probabilities[at].astype(np.float64)
        log_total = float(_log_total(row[None])[0])
        log_q = row[known].astype(np.float64) - log_total
        following = at + 1 < len(text.tokens)
        yield Row(
            divergence=divergence(log_p, log_q, whole=len(known) == len(row)),
            agrees=int(row.argmax()) == int(known[0]),
            nll=log_total - float(row[text.tokens[at + 1]]) if following else None,
        )


def divergence(log_p: Float64, log_q: Float64, whole: bool) -> float:
    """KL(p || q) in nats; unless `whole`, what p and q leave over is compared as one token."""
    p = np.exp(log_p)
    total = float((p * (log_p - log_q)).sum())
    if not whole:
        rest_p, rest_q = max(1.0 - float(p.sum()), 0.0), max(1.0 - float(np.exp(log_q).sum()), SMALLEST)
        if rest_p > SMALLEST:
            total += rest_p * math.log(rest_p / rest_q)
    # Rounding can take an exact copy a little below zero; NaN must stay NaN.
    return 0.0 if -1e-6 < total < 0.0 else total


def summarise(rows: Sequence[Row], keras_nll: Sequence[float]) -> Divergence:
    """The measures over all rows; keras_nll: of the same tokens as the rows' own."""
    divergences = np.array([row.divergence for row in rows])
    own = np.array([row.nll for row in rows if row.nll is not None])
    keras = np.array(keras_nll, np.float64)
    error = float((own - keras).std() / math.sqrt(len(own)))
    perplexity, keras_perplexity = _perplexity(float(own.mean())), _perplexity(float(keras.mean()))
    return Divergence(
        positions=len(rows),
        mean=float(divergences.mean()),
        percentile_99=float(np.percentile(divergences, 99)),
        top1_agreement=float(np.mean([row.agrees for row in rows])),
        perplexity=perplexity,
        keras_perplexity=keras_perplexity,
        ratio_error=perplexity / keras_perplexity * error,
    )


def _log_total(logits: Float32) -> Float64:
    """The logarithm of the sum of the exponentials [N] of logits [N,V]."""
    top = logits.max(axis=1, keepdims=True)
    totals: Float64 = np.log(np.exp(logits - top).sum(axis=1, dtype=np.float64)) + top[:, 0].astype(np.float64)
    return totals


def _perplexity(mean_nll: float) -> float:
    """The largest float stands for everything beyond it."""
    return math.exp(mean_nll) if not mean_nll > LARGEST_NLL else sys.float_info.max
