"""What drafts bring a model of the I/O mode `tokens` in the writing loop of `farm run`; writes its page of the docs.

    python -m benchmarks.drafting TARGET [--tokens N] [--runs N] [--threads N] [--write]

TARGET is a model as `farm run` takes it. Every text of both sets in `benchmarks/drafting_texts.py` is written with and
without drafts, in turns, and the faster of the runs counts; the time begins with the first token, behind the prompt.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.drafting_texts import BEGINNINGS, QUESTIONS
from benchmarks.rows import Row, table
from farm.native_output import stdout_suppressed
from pipeline.inference import archive
from pipeline.inference.generation import Sampler, generate, greedy
from pipeline.inference.interpreter import Float32, TokenModel

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-drafting.md"
TEMPERATURE = 0.8
# Drafts must not cost a text that never repeats itself more.
WORST = 0.98


@dataclass(frozen=True)
class TextSet:
    """Prompts to write on from, and how tokens are chosen: a sampler for the text of each number."""

    name: str
    prompts: Sequence[str]
    sampler: Callable[[int], Sampler]
    goal: float


@dataclass(frozen=True)
class Written:
    """A text's seconds without and with drafts, behind its first token; these tokens, and the calls they took."""

    plain: float
    drafted: float
    tokens: int
    calls: int


def drawn(number: int) -> Sampler:
    """Draws by probability, the same for the same number."""
    random = np.random.default_rng(number)

    def draw(logits: Float32) -> int:
        weights = np.exp((logits - logits.max()).astype(np.float64) / TEMPERATURE)
        return int(np.searchsorted(np.cumsum(weights), random.random() * weights.sum()))

    return draw


def sets(fill: Callable[[str], str]) -> list[TextSet]:
    """Both sets; the prose twice, since greedy prose repeats itself as drawn prose does not."""
    questions = [fill(question) for question in QUESTIONS]
    return [
        TextSet("conversation, greedy", questions, lambda _: greedy, 1.4),
        TextSet("prose, greedy", BEGINNINGS, lambda _: greedy, 1.15),
        TextSet(f"conversation, drawn at {TEMPERATURE}", questions[::2], drawn, WORST),
        TextSet(f"prose, drawn at {TEMPERATURE}", BEGINNINGS, drawn, 1.15),
    ]


class Counting:
    """A model that counts the calls in which tokens are scored."""

    def __init__(self, model: TokenModel) -> None:
        self._model = model
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def score(self, tokens: Sequence[int]) -> Float32:
        """As the model's own."""
        self.calls += 1
        return self._model.score(tokens)


def measure(
    model: TokenModel,
    prompt: Sequence[int],
    stops: Collection[int],
    choose: Callable[[], Sampler],
    count: int,
    runs: int,
) -> Written:
    """Write one text of at most `count` tokens `runs` times each way."""
    best, asked, calls = {False: math.inf, True: math.inf}, list[float](), 0
    for _ in range(runs):
        for drafting in best:
            counting, asked, sampler = Counting(model), [], choose()

            def timed(logits: Float32, sampler: Sampler = sampler, asked: list[float] = asked) -> int:
                asked.append(time.perf_counter())
                return sampler(logits)

            list(generate(cast(TokenModel, counting), prompt, count, stops, timed, drafting=drafting))
            best[drafting] = min(best[drafting], asked[-1] - asked[0])
            calls = counting.calls
    return Written(best[False], best[True], len(asked) - 1, calls)


def rows(name: str, goal: float, found: Sequence[Written]) -> list[Row]:
    """A set's speed-up, and its worst text's."""
    plain, drafted = sum(each.plain for each in found), sum(each.drafted for each in found)
    tokens, calls = sum(each.tokens for each in found), sum(each.calls for each in found)
    rate = f"{tokens / plain:.0f} to {tokens / drafted:.0f} tokens/s, {tokens / calls:.2f} tokens a call"
    worst = min(each.plain / each.drafted for each in found)
    return [
        Row(name, goal, plain / drafted, "", f"{len(found)} texts, {tokens} tokens: {rate}", at_least=True),
        Row(f"{name}, the worst text", WORST, worst, "", at_least=True),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--tokens", type=int, default=200, help="of a text, at most")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with stdout_suppressed(), archive.find_files(given.target) as files:
        model, prompting = archive.open_language_model(given.target, given.threads), files.info.prompting
    found = list[Row]()
    for each in sets(prompting.fill):
        written = list[Written]()
        for number, prompt in enumerate(each.prompts):
            written.append(
                measure(
                    model.tokens, model.prompt_tokens(prompt), model.info.stop_tokens,
                    lambda number=number, each=each: each.sampler(number),
                    given.tokens, given.runs,
                )
            )  # fmt: skip
            sys.stderr.write(f"{each.name} {number}: {written[-1].plain / written[-1].drafted:.3f}\n")
        found += rows(each.name, each.goal, written)
    page = render(found, model.info.name, model.info.recipe, given)
    sys.stdout.write(page)
    if given.write:
        PAGE.write_text(page)


def render(found: Sequence[Row], name: str, recipe: str, given: argparse.Namespace) -> str:
    """The page."""
    lines = [
        "# Benchmarks of drafting",
        "",
        "Printed by `python -m benchmarks.drafting TARGET --write`; not written by hand.",
        "",
        f"{name}, {recipe}, texts of at most {given.tokens} tokens, {given.threads} threads on {os.cpu_count()} cores"
        f" ({platform.machine()}): how many times as fast a text is written with drafts"
        " ([decision 5](decisions/0005-speculative-decoding.md)) as without. Each text both ways in turns, the"
        f" fastest of {given.runs} runs.",
        "",
        *table(found),
    ]
    return "\n".join([line.replace("goal: at most", "goal") for line in lines]) + "\n"


if __name__ == "__main__":
    main()
