"""The farm's engine beside LiteRT-LM's on one file, in the same run: prints docs/benchmarks-litert-lm.md.

    python -m benchmarks.litert_lm [--job FOLDER] [--folder FOLDER] [--write]

SmolLM2-135M-Instruct at int8, one thread each, in turns, in processor time. `--job` takes the files of a finished job
(`farm download`) instead of converting. Takes about a minute behind that, and ten on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import spine
from benchmarks.rows import Row, table
from benchmarks.side_process import SideProcess
from benchmarks.spine import Farm, say
from examples.smollm2 import __main__ as smollm2
from farm.artifacts import ArtifactName
from farm.native_output import stdout_suppressed
from pipeline.inference import archive
from pipeline.inference.archive import LanguageModel

PAGE = spine.ROOT / "docs" / "benchmarks-litert-lm.md"
CONTEXT, THREADS = 4096, 1
TURNS, STEPS = 3, 16
LENGTHS = (128, 1000)
# Goes on in the same way forever, so that no answer ends early.
SENTENCE = "One, two, three, four, five, six, seven, eight, nine, ten. "


class Side(SideProcess):
    """LiteRT-LM in its process. open_seconds: what opening took."""

    def __init__(self, path: Path) -> None:
        words = (sys.executable, "-m", "benchmarks.litert_lm_side", path, CONTEXT, THREADS)
        super().__init__(words, f"LiteRT-LM stopped; run `python -m benchmarks.litert_lm_side {path}` to see why")
        self.open_seconds = float(self.answer()["open"])

    def write_behind(self, text: str) -> dict[str, Any]:
        """Read a text, and write behind it."""
        return self.ask(text=text, tokens=STEPS)


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", type=Path, help="the files of a finished job of SmolLM2 at int8")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with spine.kept_folder(given.folder) as folder:
        path = (given.job or converted(folder)) / ArtifactName.LITERT_LM.value
        load = os.getloadavg()[0]
        page = render(list(rows(path)), load)
    print(page)
    if given.write:
        PAGE.write_text(page)


def converted(folder: Path) -> Path:
    """The files of a job of SmolLM2."""
    smollm2.make(smollm2.HERE)
    return Farm(folder.resolve()).submit(smollm2.HERE)[0].model.parent


def rows(path: Path) -> Iterator[Row]:
    """Opening, reading and writing; each figure the best of the turns, since whatever else runs only adds to it."""
    say("opening")
    started = time.process_time()
    with stdout_suppressed():
        model = archive.open_language_model(path, THREADS)
    opened = time.process_time() - started
    with Side(path) as other:
        yield row("opening the file", other.open_seconds, opened, "s")
        say("reading and writing")
        texts = {length: text_of(model, length) for length in LENGTHS}
        read: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
        step: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
        for _ in range(TURNS):
            for length, text in texts.items():
                theirs, own = other.write_behind(text), ours(model, text)
                if (theirs["read_tokens"], theirs["written_tokens"]) != (length, STEPS):
                    raise SystemExit(f"LiteRT-LM read and wrote other numbers of tokens: {theirs}")
                read[length].append((theirs["read"], own["read"]))
                step[length].append((theirs["step"], own["step"]))
        for length, pairs in read.items():
            yield row(f"reading {length:,} tokens", *best(pairs), "s")
        for length, pairs in step.items():
            slow, fast = best(pairs)
            yield row(
                f"writing behind {length:,} tokens", slow, fast, "s", f"{1 / fast:.0f} against {1 / slow:.0f} tokens/s"
            )


def row(what: str, theirs: float, own: float, unit: str, said: str = "") -> Row:
    """How many times faster the farm's engine is."""
    return Row(what, None, theirs / own, "times LiteRT-LM's speed", said or f"{own:.3f} against {theirs:.3f} {unit}")


def best(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The least of each."""
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def text_of(model: LanguageModel, length: int) -> str:
    """A text of so many tokens."""
    assert model.text is not None
    text = SENTENCE * (length // 8)
    return model.text.continue_text(model.text.encode(text)[:length])


def ours(model: LanguageModel, text: str) -> dict[str, Any]:
    """The same with the farm's engine, the likeliest token each time and without drafts, as LiteRT-LM does it."""
    model.tokens.reset()
    tokens = model.prompt_tokens(text)
    started = time.process_time()
    logits = model.tokens.read(tokens)
    read = time.process_time() - started
    steps = []
    for _ in range(STEPS):
        started = time.process_time()
        logits = model.tokens.step(int(logits.argmax()))
        steps.append(time.process_time() - started)
    return {"read": read, "step": statistics.fmean(steps)}


def render(figures: list[Row], load: float) -> str:
    """The page."""
    lines = [
        "# LiteRT-LM beside the farm's engine",
        "",
        "Printed by `python -m benchmarks.litert_lm --write`; not written by hand.",
        "",
        f"`model.litertlm` of SmolLM2-135M-Instruct at int8 on {os.cpu_count()} cores ({platform.machine()}),"
        f" one thread, {TURNS} turns, the best of each, in processor time; load at the beginning {load:.1f}. Both write"
        " the likeliest token each time, without drafts. LiteRT-LM is litert-lm-api 0.18.1.",
        "",
    ]
    return "\n".join([*lines, *table(figures), ""])


if __name__ == "__main__":
    main()
