"""The main job at GPT-2 base size against the runbook's recipe, in one run on one machine: prints docs/benchmarks.md.

    python -m benchmarks.spine [--folder FOLDER] [--write]

GPT-2 base with random weights, a prompt of 32 tokens, 100 new ones, 2 threads. Takes about ten minutes, most of it the
baseline's conversion. FOLDER (default: a temporary one) keeps the models from run to run. `--write` writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import overhead, runbook
from benchmarks.rows import Row, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
PROMPT_TOKENS = 32
NEW_TOKENS = 100
THREADS = 2
PROMPTS = 8
ROUNDS = 2
RUNS = 3
GIB = 1 << 30
# With its end the APK is signed, checked, and its code has written the golden tokens; pictures and more come after.
LAST_OF_THE_APK = "jvm-check"
REMARKS = """\
A token at int8 reads the whole file, 128 MB, so that the memory's bandwidth bounds the time to 100 tokens
where each is read by itself: about half a second at the 24 GB/s of a small two-core machine, whatever the graph does.
The farm gets below by drafting tokens from the text and reading them together
(docs/decisions/0005-speculative-decoding.md), so that its time follows the text. What a model of random weights
writes repeats itself more than what people read does; the table therefore gives the time without drafts as well, which
is the bound for a text that never repeats itself. The recipe's time depends on no prompt.

The farm's overhead counts every stage. Each waits for the disk twice, for its files' content and then for their names,
before the database may speak of them (docs/reliability.md), some two dozen waits a job: on a slow disk they are most
of it. What the farm does while a stage works holds nothing up and is not counted: noting that it has begun and how far
it is, starting the next one's process, removing the work folder of the one before.
"""


def main() -> None:
    """Run everything and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with kept_folder(arguments.folder) as folder:
        page = render(measure(folder))
    print(page)
    if arguments.write:
        PAGE.write_text(page)


def measure(folder: Path) -> list[Row]:
    """Every row of the table; progress goes to stderr."""
    first, second = (random_base(folder, seed) for seed in (1, 2))
    say("the runbook's recipe: converting")
    baseline_file = folder / "runbook-int8.tflite"
    built = runbook.build(first, "int8", baseline_file, prompt=PROMPT_TOKENS, tokens=NEW_TOKENS)

    with tempfile.TemporaryDirectory(prefix="farm-home-", dir=folder) as home:
        farm = Farm(Path(home))
        say("the app, once")
        farm.submit(ROOT / "examples" / "tiny_gpt2")
        say("the first of the architecture")
        cold, _ = farm.submit(first)
        say("the second of the architecture")
        warm_started = datetime.now(UTC)
        warm, _ = farm.submit(second)
        apk_seconds = (farm.ended_at(warm, LAST_OF_THE_APK) - warm_started).total_seconds()
        say("an identical job")
        _, again_seconds = farm.submit(second)
        theirs, ours = time_to_tokens(baseline_file, warm.model)
        drafted, undrafted = statistics.fmean(ours.drafted), statistics.fmean(ours.undrafted)

    return [
        Row(
            f"int8, time to {NEW_TOKENS} tokens",
            0.30,
            drafted / theirs,
            "of the runbook recipe's int8",
            f"{drafted:.2f} s against {theirs:.2f} s, the mean of {PROMPTS} prompts"
            f" ({min(ours.drafted):.2f} to {max(ours.drafted):.2f}); without drafted tokens"
            f" {undrafted:.2f} s, a ratio of {undrafted / theirs:.3f};"
            f" each the best of {ROUNDS * RUNS} runs, in turns",
        ),
        Row(
            "int8 file",
            0.262,
            warm.metric("convert", "file_to_float32_ratio"),
            "of the float32 weights",
            f"{warm.metric('convert', 'file_bytes') / 1e6:.1f} MB; the runbook's: {built.size / 1e6:.1f} MB",
        ),
        Row(
            "loaded model to .tflite, first of an architecture",
            10,
            conversion_seconds(cold),
            "s",
            f"the runbook's: {built.seconds:.1f} s",
        ),
        Row("loaded model to .tflite, graph cached", 2, conversion_seconds(warm), "s"),
        Row(
            "conversion stage, peak memory",
            1.5,
            max(cold.peak("convert"), warm.peak("convert")) / GIB,
            "GiB",
            f"the runbook's: {built.peak_bytes / GIB:.1f} GiB",
        ),
        Row(
            "submit to signed APK, second fine-tune",
            20,
            apk_seconds,
            "s",
            f"up to the end of {LAST_OF_THE_APK}: {warm.stage_times()}",
        ),
        Row("APK from a finished model", 10, warm.seconds("package"), "s"),
        Row("the farm's own overhead a job", 50, 1000 * overhead.measure(), "ms"),
        Row("an identical job again", 1, again_seconds, "s"),
    ]


@dataclass(frozen=True)
class Report:
    """A job's report.json, and where its model lies."""

    content: dict[str, Any]
    model: Path

    def metric(self, stage: str, name: str) -> float:
        """One figure."""
        return next(m["value"] for m in self.content["metrics"] if m["stage"] == stage and m["name"] == name)

    def has(self, stage: str) -> bool:
        """Whether the stage was part of the job."""
        return any(each["name"] == stage and each["seconds"] is not None for each in self.content["stages"])

    def seconds(self, stage: str) -> float:
        """A stage's time."""
        return float(self._stage(stage)["seconds"])

    def peak(self, stage: str) -> float:
        """A stage's peak memory in bytes."""
        return float(self._stage(stage)["peak_bytes"])

    def stage_times(self) -> str:
        """All stages' times in one line."""
        ran = [stage for stage in self.content["stages"] if stage["seconds"] and not stage["reused"]]
        return ", ".join(f"{stage['name']} {stage['seconds']:.1f}" for stage in ran)

    def _stage(self, name: str) -> dict[str, Any]:
        return next(stage for stage in self.content["stages"] if stage["name"] == name)


@dataclass(frozen=True)
class TimesToTokens:
    """Seconds from each prompt to its last new token, the best of some runs: with drafted tokens and without."""

    drafted: list[float]
    undrafted: list[float]


class Farm:
    """The farm as a user has it: the command, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._environment = os.environ | {"FARM_HOME": str(home / "farm"), "FARM_THREADS": str(THREADS)}

    def submit(self, model: Path, *options: str) -> tuple[Report, float]:
        """Run one int8 job to its end, with these further options; its report, and the command's time in seconds."""
        started = time.monotonic()
        job = self._farm("submit", str(model), "--quant", "int8", *options, "--wait")
        seconds = time.monotonic() - started
        output = self._home / job["id"]
        if not output.exists():
            self._farm("download", job["id"], "--output", str(output))
        return Report(json.loads((output / "report.json").read_text()), output / "model.tflite"), seconds

    def run(self, target: Path, prompt: str, tokens: int) -> dict[str, Any]:
        """What `farm run` says of a model that writes."""
        return self._farm("run", str(target), prompt, "--max-tokens", str(tokens))

    def ended_at(self, report: Report, stage: str) -> datetime:
        """When a job's stage ended, by the job's events."""
        events = self._farm("status", report.content["job"])["events"]
        return max(datetime.fromisoformat(each["at"]) for each in events if each["stage"] == stage)

    def _farm(self, *words: str) -> dict[str, Any]:
        command = [str(Path(sys.executable).with_name("farm")), *words, "--json"]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def time_to_tokens(baseline: Path, model: Path) -> tuple[float, TimesToTokens]:
    """The recipe's seconds and the farm's, each in a process of its own, by turns: a machine's speed changes."""
    theirs, drafted, undrafted = [], [], []
    for number in range(ROUNDS):
        say(f"time to tokens, round {number + 1} of {ROUNDS}")
        theirs.append(runbook.time_to_tokens(baseline, threads=THREADS, runs=RUNS).seconds)
        numbers = (PROMPT_TOKENS, NEW_TOKENS, THREADS, PROMPTS, RUNS)
        words = [sys.executable, "-c", _TIME, str(model), *map(str, numbers)]
        ours = json.loads(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
        drafted.append(ours[0])
        undrafted.append(ours[1])
    return min(theirs), TimesToTokens(_best(drafted), _best(undrafted))


def _best(rounds: list[list[float]]) -> list[float]:
    return [min(times) for times in zip(*rounds, strict=True)]


_TIME = """
import json, sys, time
from pathlib import Path
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import open_token_model
path, length, new, threads, prompts, runs = Path(sys.argv[1]), *map(int, sys.argv[2:])
model = open_token_model(path, threads)
best = {True: [], False: []}
for number in range(prompts):
    tokens = [(7919 * (place + number * length)) % 50000 for place in range(length)]
    seconds = {True: [], False: []}
    for _ in range(runs + 1):  # the first warms up
        for drafting, found in seconds.items():
            started = time.monotonic()
            assert len(list(generate(model, tokens, new, (), drafting=drafting))) == new
            found.append(time.monotonic() - started)
    for drafting, found in seconds.items():
        best[drafting].append(min(found[1:]))
print(json.dumps([best[True], best[False]]))
"""


def render(rows: list[Row]) -> str:
    """The page."""
    lines = [
        "# Benchmarks",
        "",
        "Printed by `python -m benchmarks.spine --write`; not written by hand.",
        "",
        f"GPT-2 base size (12 layers, hidden size 768, vocabulary 50,257) with random weights, prompts of"
        f" {PROMPT_TOKENS} tokens, {NEW_TOKENS} new ones, {THREADS} threads, all in one run on {os.cpu_count()} cores"
        f" ({platform.machine()}). The baseline is the runbook's recipe (strings in and out, Flex ops), which"
        " `benchmarks/runbook.py` builds.",
        "",
        *table(rows),
    ]
    return "\n".join([*lines, "", REMARKS])


@contextmanager
def kept_folder(given: Path | None) -> Iterator[Path]:
    """The folder that was given, made if need be and kept from run to run; else one that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="farm-benchmark-") as temporary:
        folder = given or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def say(text: str) -> None:
    """Progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def conversion_seconds(report: Report) -> float:
    """Seconds from the loaded model to the written file."""
    return report.metric("convert", "graph_seconds") + report.metric("convert", "bind_seconds")


def random_base(folder: Path, seed: int) -> Path:
    """A GPT-2 base preset with random weights, kept in `folder` from run to run."""
    preset = folder / f"gpt2_base_{seed}"
    if not (preset / "config.json").exists():
        say(f"random GPT-2 base, seed {seed}")
        words = [sys.executable, "-m", "examples.random_gpt2", str(preset), "--seed", str(seed)]
        subprocess.run(words, cwd=ROOT, stdout=sys.stderr, check=True)
    return preset


if __name__ == "__main__":
    main()
