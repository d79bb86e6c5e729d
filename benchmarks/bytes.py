"""The I/O modes at GPT-2 base size against the runbook's recipe, in one run on one machine: writes a part of
docs/io-modes.md.

    python -m benchmarks.bytes [--folder FOLDER] [--model PRESET] [--write]

GPT-2 base with random weights, a prompt of 32 tokens, 100 new ones, 2 threads, all int8; prints the goals of the I/O
modes that take text, and all I/O modes side by side. About fifteen minutes. FOLDER (default: a temporary one) keeps the
models from run to run; PRESET, for a try, is another GPT-2. `--write` puts both tables into docs/io-modes.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import runbook
from benchmarks.rows import Row, renew_part, table
from benchmarks.runbook import Built, Timed
from benchmarks.spine import (
    GIB,
    NEW_TOKENS,
    PROMPT_TOKENS,
    ROOT,
    THREADS,
    Farm,
    Report,
    kept_folder,
    random_base,
    say,
)
from farm.appspec import Abi
from farm.jobspec import ConversionRoute, IoMode, TokenizerGraph

ABI = Abi.ARM64
LONG_PROMPT = 256
PAGE = ROOT / "docs" / "io-modes.md"
BEGIN, END = "<!-- python -m benchmarks.bytes --write -->", "<!-- end -->"
TFTEXT = ("--io", IoMode.STRINGS, "--tokenizer-graph", TokenizerGraph.TFTEXT, "--output-tokens")


@dataclass(frozen=True)
class Measured:
    """One io_mode: its job's report, and seconds from the prompt to all its tokens."""

    name: str
    report: Report
    seconds: float

    @property
    def size(self) -> int:
        """The file's, in bytes."""
        return self.report.model.stat().st_size

    @property
    def conversion(self) -> float:
        """Seconds from the loaded model to the written file."""
        names = {"graph_seconds", "bind_seconds"}
        metrics = self.report.content["metrics"]
        return sum(float(one["value"]) for one in metrics if one["stage"] == "convert" and one["name"] in names)

    @property
    def package(self) -> int | None:
        """Bytes of the APK beyond the model; None where the job made none."""
        path = self.report.model.with_name("app.apk")
        return path.stat().st_size - self.size if path.exists() else None


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with kept_folder(arguments.folder) as folder:
        tables = measure(folder, arguments.model or random_base(folder, 1))
    print(tables)
    if arguments.write:
        renew_part(PAGE, BEGIN, END, f"\n\n{tables}\n")


def measure(folder: Path, preset: Path) -> str:
    """Both tables; progress goes to stderr."""
    baseline_file = folder / "runbook-int8.tflite"
    say("the runbook's recipe: converting")
    built = runbook.build(preset, "int8", baseline_file, prompt=PROMPT_TOKENS, tokens=NEW_TOKENS)
    prompt = baseline_file.with_suffix(".prompt")
    with tempfile.TemporaryDirectory(prefix="farm-home-", dir=folder) as home:
        farm = Farm(Path(home))
        reports = {}
        for name, options in (
            ("tokens", ("--io", IoMode.TOKENS)),
            ("bytes", ("--io", IoMode.BYTES)),
            ("strings", ("--io", IoMode.STRINGS)),
            ("strings, tftext", (*TFTEXT, str(PROMPT_TOKENS + NEW_TOKENS))),
            ("strings, tftext, from_keras_model",
             (*TFTEXT, str(PROMPT_TOKENS + NEW_TOKENS), "--conversion-route", ConversionRoute.KERAS_MODEL)),
        ):  # fmt: skip
            say(f"a job: {name}")
            reports[name], _ = farm.submit(preset, *options, "--abi", ABI)
        say("all: time to tokens")
        took = _take_times(reports, prompt)
        baseline = runbook.time_to_tokens(baseline_file, threads=THREADS)
        io_modes = [Measured(name, report, took[name]) for name, report in reports.items()]
        return goals(io_modes, took["tokenize_ms"], built, baseline) + "\n" + side_by_side(io_modes, built, baseline)


def goals(io_modes: list[Measured], tokenize_ms: float, built: Built, baseline: Timed) -> str:
    """What the I/O modes that take text were to reach."""
    rows = [Row(f"bytes: tokenizing a prompt of {LONG_PROMPT} bytes", 2, tokenize_ms, "ms")]
    for io_mode in io_modes:
        if io_mode.name not in ("bytes", "strings"):
            continue
        rows += [
            Row(
                f"{io_mode.name}: text to text, {NEW_TOKENS} tokens", 0.30, io_mode.seconds / baseline.seconds,
                "of the runbook recipe's int8", f"{io_mode.seconds:.2f} s against {baseline.seconds:.2f} s",
            ),
            Row(
                f"{io_mode.name}: file", 0.78, io_mode.size / built.size,
                "of the runbook recipe's int8", f"{io_mode.size / 1e6:.1f} MB against {built.size / 1e6:.1f} MB",
            ),
            Row(
                f"{io_mode.name}: loaded model to .tflite, nothing cached", 60, io_mode.conversion,
                "s", f"the runbook's: {built.seconds:.1f} s",
            ),
            Row(
                f"{io_mode.name}: conversion stage, peak memory", 4, io_mode.report.peak("convert") / GIB,
                "GiB", f"the runbook's: {built.peak_bytes / GIB:.1f} GiB",
            ),
        ]  # fmt: skip
        if io_mode.name == "bytes" and io_mode.package is not None:
            rows.append(Row(f"bytes: APK for {ABI} beyond the model", 14, io_mode.package / 1e6, "MB"))
    return "\n".join(table(rows)) + "\n"


def side_by_side(io_modes: list[Measured], built: Built, baseline: Timed) -> str:
    """Every io_mode, and the runbook's recipe outside of the farm."""
    lines = [
        f"| int8 | file | {NEW_TOKENS} tokens | loaded model to `.tflite` | conversion's memory"
        f" | APK ({ABI}) beyond it |",
        "|---|---|---|---|---|---|",
    ]
    for io_mode in io_modes:
        package = "no APK" if io_mode.package is None else f"{io_mode.package / 1e6:.1f} MB"
        lines.append(
            f"| {io_mode.name} | {io_mode.size / 1e6:.1f} MB | {io_mode.seconds:.2f} s | {io_mode.conversion:.1f} s"
            f" | {io_mode.report.peak('convert') / GIB:.1f} GiB | {package} |"
        )
    lines.append(
        f"| the runbook's recipe | {built.size / 1e6:.1f} MB | {baseline.seconds:.2f} s | {built.seconds:.1f} s"
        f" | {built.peak_bytes / GIB:.1f} GiB | no APK |"
    )
    return "\n".join(lines) + "\n"


def _take_times(reports: dict[str, Report], prompt: Path) -> dict[str, float]:
    """Seconds from the prompt to all tokens by io_mode, and `tokenize_ms`; each io_mode in a process of its own."""
    seconds = {}
    for name, report in reports.items():
        numbers = map(str, (NEW_TOKENS, THREADS, LONG_PROMPT))
        words = [sys.executable, "-c", _TIMING, name, str(report.model), str(prompt), *numbers]
        done = subprocess.run(words, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, check=True)
        answer = json.loads(done.stdout)
        seconds[name] = answer["seconds"]
        seconds |= {key: value for key, value in answer.items() if key == "tokenize_ms"}
    return seconds


_TIMING = """
import json, sys, time
from pathlib import Path
from pipeline.flex.runner import FlexModel
from pipeline.inference.archive import open_language_model
from pipeline.inference.generation import generate
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.text_model import Completion, TextModel
io_mode, path, prompt = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_bytes()
new, threads, long = map(int, sys.argv[4:])
found = {}
if io_mode == "tokens":
    model = open_language_model(path.parent, threads)
    given = model.prompt_tokens(prompt.decode())
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        assert len(list(generate(model.tokens, given, new, ()))) == new
        seconds.append(time.monotonic() - started)
elif io_mode == "bytes":
    model = TextModel(path, threads)
    answers = [model.complete(prompt, new) for _ in range(5)]
    assert all(len(answer.tokens) == new for answer in answers)
    seconds = [answer.seconds for answer in answers]
    text, took = (prompt * long)[:long], []
    for _ in range(20):
        started = time.monotonic()
        model.tokenize(text)
        took.append(1000 * (time.monotonic() - started))
    found["tokenize_ms"] = min(took[1:])
else:
    info = ModelInfo.read(path.with_name("model-info.json"))
    keras = info.tokenizer_graph == "tftext"
    model = FlexModel(path, threads, 1 << 16, info.context, keras)
    answers = model.answer([], [Completion(prompt, None if keras else new)] * 5).answers
    assert keras or all(len(answer.tokens) == new for answer in answers)
    seconds = [answer.seconds for answer in answers]
print(json.dumps(found | {"seconds": min(seconds[1:])}))
"""


if __name__ == "__main__":
    main()
