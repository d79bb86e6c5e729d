"""What a text's length costs, beside llama.cpp in the same run: prints docs/benchmarks-lengths.md.

    python -m benchmarks.lengths [--job FOLDER] [--folder FOLDER] [--alone] [--write]

SmolLM2-135M-Instruct at int8 against llama.cpp's Q8_0 of the same weights, 2 threads each, in turns. `--job` takes the
files of a finished job (`farm download`) instead of converting. FOLDER (default: a temporary one) keeps llama.cpp's
environment and file, whose first making takes some ten minutes; what is measured takes about five. `--alone` gives what
is timed the processor to itself for that second (root only), on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import conversion_times, exclusive, llama_cpp_process, spine
from benchmarks.llama_cpp_process import LlamaCpp
from benchmarks.rows import Row, table
from benchmarks.spine import THREADS, Farm, say
from examples.smollm2 import __main__ as smollm2
from farm import settings
from farm.native_output import stdout_suppressed
from pipeline.inference import archive, inspection
from pipeline.inference.generation import generate
from pipeline.inference.growth import FIRST_ROWS
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.kept_text import KeptText
from pipeline.toolchain import maven
from tests.fixtures.host_driver import HostDriver, compile_driver

PAGE = spine.ROOT / "docs" / "benchmarks-lengths.md"
LONG, SHORT, BATCH = 4096, 256, 512
TURNS = 7
# A text of so many tokens is read up to the last of these, which are timed one by one.
STEPS = 40
# Lengths of text, and how many times llama.cpp's speed there is the goal.
LENGTHS = {128: 1.5, 1000: 1.3, 2000: 1.2}
PROMPT, CHAT, QUESTION = 1000, 1500, 24
MEGABYTE = 1e6
# A small nursery: garbage that nobody has collected yet is not taken for memory that is held.
JVM = ("-Xmx1g", "-Xmn8m")


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", type=Path, help="the files of a finished job of SmolLM2 at int8")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--alone", action="store_true", help="time with the priority of real-time programs")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    smollm2.make(smollm2.HERE)
    with spine.kept_folder(given.folder) as folder:
        folder = folder.resolve()
        python = llama_cpp_process.environment(folder)
        theirs = llama_cpp_process.quantized(python, folder)
        job = given.job or Farm(folder).submit(smollm2.HERE)[0].model.parent
        load = os.getloadavg()[0]
        speed = list(speeds(job, python, theirs, given.alone))
        memory = list(jvm_memory(job, folder))
        page = render([*speed, *memory, cold_graph(folder)], conversion_times.times(folder), load, given.alone)
    print(page)
    if given.write:
        PAGE.write_text(page)


def speeds(job: Path, python: Path, theirs: Path, alone: bool) -> Iterator[Row]:
    """Writing, reading and going on, each figure the best of the turns' medians."""
    path = job / archive.MODEL_FILE
    text = some_tokens(max(*LENGTHS, CHAT + QUESTION))
    with stdout_suppressed():
        long, short = (open_token_model(path, THREADS, context) for context in (LONG, SHORT))
    with LlamaCpp(python, theirs, context=LONG, batch=BATCH, threads=THREADS, alone=alone) as other:
        say("writing at each length")
        ours, limited, rival = (dict[int, list[float]]() for _ in range(3))
        for _ in range(TURNS):
            for length in LENGTHS:
                before = text[: length - STEPS]
                ours.setdefault(length, []).append(step_seconds(long, before, alone))
                if length <= SHORT:
                    limited.setdefault(length, []).append(step_seconds(short, before, alone))
                rival.setdefault(length, []).append(statistics.median(other.steps(before, STEPS)))
        first = min(LENGTHS)
        same = min(limited[first]) / min(ours[first])
        yield Row(
            f"writing at {first} tokens of text: limit {LONG:,} against {SHORT}", 0.98, same, "",
            f"{1 / min(ours[first]):.0f} against {1 / min(limited[first]):.0f} tokens/s", at_least=True,
        )  # fmt: skip
        for length, goal in LENGTHS.items():
            ratio = min(rival[length]) / min(ours[length])
            said = f"{1 / min(ours[length]):.0f} against {1 / min(rival[length]):.0f} tokens/s"
            yield Row(
                f"writing at {length:,} tokens against llama.cpp", goal, ratio, "",
                f"{said}; turn by turn {spread(rival[length], ours[length])}", at_least=True,
            )  # fmt: skip
        say("reading")
        again, mine, others = list[float](), list[float](), list[float]()
        for _ in range(TURNS):
            mine.append(read_seconds(long, text[:PROMPT], alone))
            others.append(other.read(text[:PROMPT]))
            again.append(turn_ratio(long, text, alone))
    said = f"{min(mine):.2f} s against {min(others):.2f} s; turn by turn {spread(others, mine)}"
    yield Row(
        f"reading {PROMPT:,} tokens against llama.cpp (n_batch {BATCH})", 3, min(others) / min(mine), "", said,
        at_least=True,
    )  # fmt: skip
    yield Row(
        f"first token of a second turn behind {CHAT:,} tokens, of reading all again", 0.1, statistics.median(again), "",
        f"a question of {QUESTION} tokens",
    )  # fmt: skip


def some_tokens(count: int) -> list[int]:
    """A text of the vocabulary's tokens; times depend on its length alone."""
    return [1 + 7919 * place % 40000 for place in range(count)]


def step_seconds(model: TokenModel, text: Sequence[int], alone: bool) -> float:
    """The median step behind a text."""
    model.reset()
    model.read(text)
    return median_step(model, text[0], STEPS, alone)


def read_seconds(model: TokenModel, text: Sequence[int], alone: bool) -> float:
    """To read a text from nothing, the growth of the caches among it."""
    model.reset()
    return timed_read(model, text, alone)


def median_step(model: TokenModel, token: int, steps: int, alone: bool) -> float:
    """Seconds of a step, the median of so many behind what was read."""
    found = []
    with exclusive.alone(alone):
        for _ in range(steps):
            started = time.perf_counter()
            model.step(token)
            found.append(time.perf_counter() - started)
    return statistics.median(found)


def timed_read(model: TokenModel, text: Sequence[int], alone: bool) -> float:
    """Seconds to read a text from where the model is."""
    with exclusive.alone(alone):
        started = time.perf_counter()
        model.read(text)
        return time.perf_counter() - started


def turn_ratio(model: TokenModel, text: Sequence[int], alone: bool) -> float:
    """Time to the first token of a second turn, as a share of what it takes where the whole text is read again."""
    kept, whole = KeptText(model), text[: CHAT + QUESTION]
    kept.reset()
    kept.read(text[:CHAT])
    with exclusive.alone(alone):
        second = first_token_seconds(kept, whole, kept.shared(whole))
        return second / first_token_seconds(kept, whole, 0)


def first_token_seconds(model: KeptText, text: Sequence[int], kept: int) -> float:
    """As `farm chat` asks for it."""
    started = time.perf_counter()
    next(generate(model, text, 1, (), kept=kept))
    return time.perf_counter() - started


def spread(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The least and the largest ratio of what was measured side by side."""
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def jvm_memory(job: Path, folder: Path) -> Iterator[Row]:
    """Memory of the app's engine on the JVM, of the whole process."""
    say("the app's engine on the JVM")
    info = folder / "model-info.json"
    info.write_text(json.dumps(json.loads((job / archive.INFO_FILE).read_text()) | {"context": LONG}))
    path = job / archive.MODEL_FILE
    weights = sum(share.bytes for share in inspection.inspect(path).sizes if share.kind != "graph")
    with stdout_suppressed():
        contract = open_token_model(path, context=LONG).contract
    with HostDriver(compile_driver(maven.at(settings.load().toolchain), folder), *JVM) as driver:
        answered(driver, cmd="draft", tokens=[], prompt=0, most=0)
        empty = resident(driver.pid)
        answered(driver, cmd="open", model=str(path), info=str(info), threads=THREADS)
        for rows, length in ((FIRST_ROWS, FIRST_ROWS - 8), (LONG, LONG - 96)):
            answered(driver, cmd="generate", prompt_tokens=some_tokens(length), max_new_tokens=7)
            held, cache = resident(driver.pid), rows * contract.row_bytes
            beyond = (held["RssAnon"] - weights - cache) / MEGABYTE
            yield Row(
                f"the app's engine on the JVM at {rows:,} rows, beyond one packing of the weights and the cache",
                60 if rows == FIRST_ROWS else None, beyond, "MB",
                f"{held['RssAnon'] / MEGABYTE:.0f} MB in all, of them {weights / MEGABYTE:.0f} weights and"
                f" {cache / MEGABYTE:.0f} cache; the JVM alone {empty['RssAnon'] / MEGABYTE:.0f} MB. Beside it pages of"
                f" files that the system may drop: {held['RssFile'] / MEGABYTE:.0f} MB, the model's among them",
            )  # fmt: skip


def answered(driver: HostDriver, **command: Any) -> None:
    """Ask, and stop at a refusal."""
    answer = driver.ask(**command)
    if "error" in answer:
        raise SystemExit(answer["error"])


def resident(pid: int) -> Mapping[str, int]:
    """Bytes of a process in memory: RssAnon is its own, RssFile are pages of files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {
        name: 1024 * int(value.split()[0]) for name, value in (line.split(":", 1) for line in lines) if "Rss" in name
    }


def cold_graph(folder: Path) -> Row:
    """The graph of SmolLM2 without any cache of the farm's."""
    say("converting SmolLM2's graph")
    conversion_times.describe(smollm2.HERE, folder / "smollm2")
    (seconds,), tree = conversion_times.now([folder / "smollm2"]), conversion_times.former_tree(folder)
    (former,) = conversion_times.before([folder / "smollm2"], tree)
    said = f"before, with a signature for each length: {former:.1f} s"
    return Row("graph of SmolLM2, cold", 5, seconds, "s", said)


def render(
    rows: Sequence[Row], families: Sequence[tuple[str, int, float, float]], load: float, alone: bool = False
) -> str:
    """The page."""
    priority = " What was timed had the processor to itself (`--alone`)." if alone else ""
    rival = f"llama-cpp-python {llama_cpp_process.VERSION}"
    lines = [
        "# Benchmarks: lengths of text",
        "",
        "Printed by `python -m benchmarks.lengths --write`; not written by hand.",
        "",
        f"SmolLM2-135M-Instruct, int8, against llama.cpp ({rival}) with Q8_0 of the same weights and n_ctx {LONG:,};"
        f" {THREADS} threads each on {os.cpu_count()} cores ({platform.machine()}), in turns in one run, {TURNS} turns,"
        f" the best of each. Load average at the beginning: {load:.1f}. Nothing here is a phone's speed.{priority}",
        "",
        *(line.replace("goal: at most", "goal") for line in table(rows)),
        "",
        "Opening, reading and writing beside LiteRT-LM, with the same file:"
        " [benchmarks-litert-lm.md](benchmarks-litert-lm.md).",
        "",
        "## Conversion of a graph",
        "",
        "A small model of each family, one after the other in a process: the one signature of dynamic lengths, and"
        f" what was converted before (commit {conversion_times.BEFORE}: prompts of 32 and 128 tokens, one step,"
        " four drafts, for one context).",
        "",
        "| family | layers | now | before | share |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {layers} | {now:.1f} s | {before:.1f} s | {now / before:.2f} |"
            for name, layers, now, before in families
        ),
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
