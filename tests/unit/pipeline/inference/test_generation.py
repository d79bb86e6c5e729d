from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from farm.errors import SequenceTooLong
from pipeline.inference.generation import Sampler, generate, greedy
from pipeline.inference.interpreter import Float32, TokenModel


def test_each_token_is_the_likeliest_after_all_before(model: TokenModel) -> None:
    prompt = [5, 250, 17]
    written = list(generate(model, prompt, 12, stop_tokens=()))
    assert len(written) == 12
    for count in range(12):
        model.rewind()
        assert greedy(model.read(prompt + written[:count])) == written[count]


def second_best() -> Sampler:
    return lambda logits: int(np.argsort(logits)[-2])


def periodic() -> Sampler:
    """Three tokens over and over, which are easily drafted; it counts what it is asked for."""
    tokens = cycle((3, 1, 2))
    return lambda _logits: next(tokens)


@pytest.mark.parametrize(("make_sampler", "most_calls"), [(lambda: greedy, 39), (second_best, 39), (periodic, 12)])
def test_guesses_change_nothing_but_the_number_of_calls(
    model: TokenModel, monkeypatch: pytest.MonkeyPatch, make_sampler: Callable[[], Sampler], most_calls: int
) -> None:
    prompt, calls, score = [5, 250, 17, 5, 250], list[int](), model.score

    def counted(tokens: Sequence[int]) -> Float32:
        calls.append(len(tokens))
        return score(tokens)

    monkeypatch.setattr(model, "score", counted)
    drafted = list(generate(model, prompt, 40, (), make_sampler()))
    assert len(calls) <= most_calls
    calls.clear()
    assert list(generate(model, prompt, 40, (), make_sampler(), drafting=False)) == drafted
    assert calls == [1] * 39


def test_the_end_token_ends_and_is_not_given_out(model: TokenModel) -> None:
    written = list(generate(model, [5, 250, 17], 12, stop_tokens=()))
    end = written[4]
    assert list(generate(model, [5, 250, 17], 12, stop_tokens=(end,))) == written[: written.index(end)]


def test_a_sampler_of_the_callers_decides(model: TokenModel) -> None:
    def least(logits: Float32) -> int:
        return int(logits.argmin())

    first = next(generate(model, [9], 5, (), sampler=least))
    model.rewind()
    assert first == least(model.step(9))


def test_prompt_and_output_may_fill_the_context_exactly(model: TokenModel) -> None:
    assert len(list(generate(model, [1] * 40, 8, ()))) == 8


def test_what_does_not_fit_is_refused_before_the_first_token(model: TokenModel) -> None:
    with pytest.raises(SequenceTooLong, match=r"40 tokens and 9 new ones .* context of 48; .* at most 8 tokens"):
        generate(model, [1] * 40, 9, ())


def test_an_empty_prompt_is_refused(model: TokenModel) -> None:
    with pytest.raises(SequenceTooLong, match="holds no token"):
        generate(model, [], 3, ())


def test_no_tokens_wanted_gives_none(model: TokenModel) -> None:
    assert list(generate(model, [1], 0, ())) == []


class MarkovModel:
    """A text whose next token depends on its last one alone, by known chances; it may be read like a file."""

    chances = np.array([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.25, 0.7, 0.05]])
    contract = SimpleNamespace(context=1 << 30)

    def __init__(self) -> None:
        self.position, self.calls = 0, 0

    def reset(self) -> None:
        self.position = 0

    def rewind(self, position: int) -> None:
        self.position = position

    def read(self, tokens: Sequence[int]) -> Float32:
        self.position = len(tokens)
        return self._logits(tokens[-1:])[0]

    def room_to_score(self) -> int:
        return 4

    def score(self, tokens: Sequence[int]) -> Float32:
        self.position += len(tokens)
        self.calls += 1
        return self._logits(tokens)

    def _logits(self, tokens: Sequence[int]) -> Float32:
        return np.log(self.chances[list(tokens)]).astype(np.float32)


def test_drafts_leave_the_distribution_of_drawn_tokens_as_it_is() -> None:
    """A draft is accepted as often as the model would draw it, and what is drawn instead is what else it would draw."""
    model, random, count = MarkovModel(), np.random.default_rng(7), 30_000

    def draw(logits: Float32) -> int:
        return int(random.choice(len(logits), p=np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()))

    written = [0, *generate(cast(TokenModel, model), [0], count, (), draw)]
    assert model.calls < 0.95 * count, "drafts were accepted"
    triples = np.zeros((3, 3, 3))
    np.add.at(triples, (written[:-2], written[1:-1], written[2:]), 1)
    # Behind each pair of tokens as behind the last of them: what was drafted depends on both.
    for pair in triples.reshape(9, 3):
        assert pair.sum() > 200
    for first, second in np.ndindex(3, 3):
        found, expected = triples[first, second], model.chances[second]
        spread = np.sqrt(found.sum() * expected * (1 - expected))
        assert np.all(np.abs(found - found.sum() * expected) < 4.5 * spread), (first, second, found)
