"""How fast the recipes' files are beside llama.cpp's and on the JVM: everything in turns, so that all meet the same
machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lengths import answered, median_step, timed_read
from benchmarks.llama_cpp_process import LlamaCpp
from benchmarks.quantization_file import THREADS
from farm import settings
from farm.jobspec import DEFAULT_CONTEXT
from farm.native_output import stdout_suppressed
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.toolchain import maven
from tests.fixtures.host_driver import HostDriver, compile_driver

PROMPT, READ, STEPS, TURNS, BATCH = 32, 128, 60, 7, 512
WRITTEN = 100


@dataclass
class Times:
    """Seconds of a step behind the prompt, and of reading a prompt and a longer text, one of each a turn."""

    step: list[float] = field(default_factory=list)
    prompt: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)


def in_turns(
    files: Mapping[str, Path], rivals: Mapping[str, Path], python: Path | None, text: Sequence[int], alone: bool
) -> dict[str, Times]:
    """The times of the farm's files and of llama.cpp's; python: of llama.cpp's environment. The text is as long as a
    step's prompt and a reading need."""
    found = {name: Times() for name in (*files, *rivals)}
    with ExitStack() as stack, stdout_suppressed():
        models = {name: open_token_model(path, THREADS, DEFAULT_CONTEXT) for name, path in files.items()}
        others = {
            name: stack.enter_context(
                LlamaCpp(python, path, context=DEFAULT_CONTEXT, batch=BATCH, threads=THREADS, alone=alone)
            )
            for name, path in rivals.items()
            if python is not None
        }
        for _ in range(TURNS):
            for name, model in models.items():
                times = found[name]
                times.prompt.append(_read(model, text[:PROMPT], alone))
                times.step.append(median_step(model, text[0], STEPS, alone))
                times.read.append(_read(model, text[:READ], alone))
            for name, other in others.items():
                times = found[name]
                times.step.append(statistics.median(other.steps(text[:PROMPT], STEPS)))
                times.prompt.append(other.read(text[:PROMPT]))
                times.read.append(other.read(text[:READ]))
    return found


def on_the_jvm(path: Path, folder: Path, text: Sequence[int]) -> tuple[float, float]:
    """Tokens a second that the app's engine writes on the JVM, and the farm's in Python, behind the same prompt."""
    prompt, mine, theirs = list(text[:PROMPT]), list[float](), list[float]()
    with stdout_suppressed():
        model = open_token_model(path, THREADS, DEFAULT_CONTEXT)
    with HostDriver(compile_driver(maven.at(settings.load().toolchain), folder)) as driver:
        answered(driver, cmd="open", model=str(path), info=str(path.with_suffix(".info.json")), threads=THREADS)
        for _ in range(TURNS):
            answer = driver.ask(cmd="generate", prompt_tokens=prompt, max_new_tokens=WRITTEN)
            mine.append(answer["decode_seconds"] / len(answer["tokens"]))
            tokens = generate(model, prompt, WRITTEN, ())
            next(tokens)
            began = time.perf_counter()
            count = len(list(tokens))
            theirs.append((time.perf_counter() - began) / count)
    return 1 / min(mine), 1 / min(theirs)


def _read(model: TokenModel, text: Sequence[int], alone: bool) -> float:
    """To read a text from its beginning into the caches that are there."""
    model.rewind()
    return timed_read(model, text, alone)
