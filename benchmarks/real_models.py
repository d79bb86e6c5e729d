"""Two real models from submit to the last stage, and how fast they then write: prints docs/benchmarks-models.md.

    python -m benchmarks.real_models [--folder FOLDER] [--write]

SmolLM2-135M-Instruct and Gemma 3 270M (with GEMMA_TERMS=accepted only) at int8, each a whole job on a farm of its own;
then `farm run` on the finished APK. About a quarter of an hour on two free cores. FOLDER (default: a temporary one)
keeps the farm from run to run: what no code has changed is not made again, and shows the time of when it was made.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import spine
from benchmarks.rows import Row, table
from benchmarks.spine import Farm, say
from examples.gemma3_270m import __main__ as gemma
from examples.smollm2 import __main__ as smollm2
from farm.artifacts import ArtifactName
from farm.stages import STAGES, StageName

PAGE = spine.ROOT / "docs" / "benchmarks-models.md"
RUNS = 3
NEW_TOKENS = 64


@dataclass(frozen=True)
class Model:
    """An example. verify_seconds: what its verification may take on two cores."""

    title: str
    folder: Path
    prompt: str
    verify_seconds: float | None = None


def main() -> None:
    """Run everything and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with spine.kept_folder(arguments.folder) as folder:
        farm = Farm(folder)
        page = render([(model, list(measure(farm, model))) for model in models()])
    print(page)
    if arguments.write:
        PAGE.write_text(page)


def models() -> Iterator[Model]:
    """Those that may be made here; they are made if need be."""
    smollm2.make(smollm2.HERE)
    yield Model("SmolLM2-135M-Instruct", smollm2.HERE, "What is the capital of France?", verify_seconds=20)
    if gemma.accepted():
        gemma.make(gemma.HERE)
        yield Model("Gemma 3 270M", gemma.HERE, "The Eiffel Tower is in the city of")
    else:
        say(f"Gemma 3 270M is left out: {gemma.TERMS_VARIABLE}={gemma.ACCEPTED} accepts its terms")


def measure(farm: Farm, model: Model) -> Iterator[Row]:
    """A model's rows: each stage, then its speed here and on the JVM."""
    say(f"{model.title}: the whole job")
    report, _ = farm.submit(model.folder)
    for stage in STAGES:
        if report.has(stage.name):
            goal = model.verify_seconds if stage.name is StageName.VERIFY else None
            peak = f"{report.peak(stage.name) / 1e6:,.0f} MB of memory at most"
            yield Row(stage.title, goal, report.seconds(stage.name), "s", peak)
    say(f"{model.title}: writing")
    package = report.model.with_name(ArtifactName.APK.value)
    runs = [farm.run(package, model.prompt, NEW_TOKENS) for _ in range(RUNS)]
    read = f"a prompt of {runs[0]['prompt_tokens']} tokens; the best of {RUNS} runs"
    yield Row("`farm run`: first token", None, 1000 * min(run["first_token_seconds"] for run in runs), "ms", read)
    written = f"{runs[0]['new_tokens']} tokens"
    yield Row("`farm run`", None, max(run["tokens_per_second"] for run in runs), "tokens/s", written)
    jvm = "the app's code on the JVM"
    seconds = report.metric(StageName.JVM_CHECK, "host_prefill_seconds")
    yield Row(f"{jvm}: reading a golden prompt", None, 1000 * seconds, "ms", "the median of its prompts")
    rate = report.metric(StageName.JVM_CHECK, "host_decode_rate")
    yield Row(jvm, None, rate, "tokens/s", "the median of its prompts")


def render(measured: Sequence[tuple[Model, Sequence[Row]]]) -> str:
    """The page."""
    lines = [
        "# Benchmarks: real models",
        "",
        "Printed by `python -m benchmarks.real_models --write`; not written by hand.",
        "",
        f"Whole jobs at int8 with {spine.THREADS} threads on {os.cpu_count()} cores ({platform.machine()}), a load"
        f" average of {os.getloadavg()[0]:.1f} at the end. Nothing here is a phone's speed.",
    ]
    for model, rows in measured:
        lines += ["", f"## {model.title}", "", *table(rows)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
