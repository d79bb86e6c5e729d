"""The bytes lane at GPT-2 base size against the runbook's recipe, in one run on one machine.

    python -m benchmarks.bytes [--folder FOLDER]

GPT-2 base with random weights, a prompt of 32 tokens, 100 new ones, 2 threads, all int8; prints a table. FOLDER
(default: a temporary one) keeps the models from run to run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import runbook
from benchmarks.spine import (
    GIB,
    NEW_TOKENS,
    PROMPT_TOKENS,
    ROOT,
    THREADS,
    Farm,
    Row,
    conversion_seconds,
    random_base,
    say,
)

MIB = 1 << 20
LONG_PROMPT = 256


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="farm-benchmark-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(folder)
    print("| what | goal: at most | measured | | |\n|---|---|---|---|---|")
    for row in rows:
        verdict = "reached" if row.measured <= row.goal else "**missed**"
        print(f"| {row.what} | {row.goal:g} {row.unit} | {row.measured:.3g} | {verdict} | {row.baseline} |")


def measure(folder: Path) -> list[Row]:
    """Every row; progress goes to stderr."""
    preset = random_base(folder, 1)
    baseline_file = folder / "runbook-int8.tflite"
    say("the runbook's recipe: converting")
    built = runbook.build(preset, "int8", baseline_file, prompt=PROMPT_TOKENS, tokens=NEW_TOKENS)
    with tempfile.TemporaryDirectory(prefix="farm-home-", dir=folder) as home:
        say("the bytes lane: a job")
        report, _ = Farm(Path(home)).submit(preset, "--lane", "bytes")
        say("both: time to tokens")
        ours = _time(report.model, baseline_file.with_suffix(".prompt"))
        baseline = runbook.time_to_tokens(baseline_file, threads=THREADS)
        size = report.model.stat().st_size
        package = report.model.with_name("app.apk").stat().st_size
    return [
        Row(
            f"int8, text to text, {NEW_TOKENS} tokens", 0.30, ours["seconds"] / baseline.seconds,
            "of the runbook recipe's int8", f"{ours['seconds']:.2f} s against {baseline.seconds:.2f} s",
        ),
        Row(
            "int8 file", 0.78, size / built.size,
            "of the runbook recipe's int8", f"{size / 1e6:.1f} MB against {built.size / 1e6:.1f} MB",
        ),
        Row(f"tokenizing a prompt of {LONG_PROMPT} bytes", 2, ours["tokenize_ms"], "ms"),
        Row(
            "loaded model to .tflite, nothing cached", 60, conversion_seconds(report),
            "s", f"the runbook's: {built.seconds:.1f} s",
        ),
        Row(
            "conversion stage, peak memory", 4, report.peak("convert") / GIB,
            "GiB", f"the runbook's: {built.peak_bytes / GIB:.1f} GiB",
        ),
        Row("APK beyond the model", 14, (package - size) / MIB, "MiB"),
    ]  # fmt: skip


def _time(model: Path, prompt: Path) -> dict[str, float]:
    """Seconds from text to text and milliseconds of tokenizing, best of some runs, in a process of its own."""
    words = [sys.executable, "-c", _TIMING, *map(str, (model, prompt, NEW_TOKENS, THREADS, LONG_PROMPT))]
    done = subprocess.run(words, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


_TIMING = """
import json, sys, time
from pathlib import Path
from worker.inference.text_model import TextModel
path, prompt, new, threads, long = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), *map(int, sys.argv[3:])
model = TextModel(path, threads)
seconds, tokenizing = [], []
for _ in range(5):
    started = time.monotonic()
    assert len(model.complete(prompt, new).tokens) == new
    seconds.append(time.monotonic() - started)
text = (prompt * long)[:long]
for _ in range(20):
    started = time.monotonic()
    model.tokenize(text)
    tokenizing.append(1000 * (time.monotonic() - started))
print(json.dumps({"seconds": min(seconds[1:]), "tokenize_ms": min(tokenizing[1:])}))
"""


if __name__ == "__main__":
    main()
