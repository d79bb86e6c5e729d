"""What a short text costs in a long context in the I/O mode `bytes`: writes a part of docs/io-modes.md.

    python -m benchmarks.text_contexts [--folder FOLDER] [--write]

SmolLM2-135M-Instruct at int8, unprepared, a prompt of 18 tokens and 64 new ones, in contexts of 256, 2,048 and 4,096
tokens; one graph whose caches grow and one whose caches have the context's length from the first token on, which is
what the I/O mode had before. 2 threads, processor time, the best of some turns. About ten minutes. FOLDER (default: a
temporary one) keeps the files from run to run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import renew_part
from benchmarks.spine import ROOT, THREADS, kept_folder, say
from examples.smollm2 import __main__ as smollm2
from farm.jobspec import IoMode, JobSpec, TokenizerGraph
from farm.modelref import ModelKind
from farm.recipes import WeightFormat
from pipeline.conversion.binding import bind
from pipeline.conversion.io_modes import bytes as bytes_mode
from pipeline.conversion.io_modes import selection
from pipeline.conversion.opening import open_model
from pipeline.inference.growth import FIRST_ROWS
from pipeline.stages.convert import model_stop_tokens
from pipeline.tokenizers.export import export_tokenizer

PAGE = ROOT / "docs" / "io-modes.md"
BEGIN, END = "<!-- python -m benchmarks.text_contexts --write -->", "<!-- end -->"
CONTEXTS = (256, 2048, 4096)
PROMPT = "Once upon a time there was a little girl who lived in a village near the forest."
NEW_TOKENS, TURNS = 64, 5


@dataclass(frozen=True)
class Measured:
    """One graph. seconds: of processor time for a whole answer; memory: of the process behind it, in bytes."""

    context: int
    grows: bool
    seconds: float
    memory: int
    text: str


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with kept_folder(arguments.folder) as folder:
        table = render(measure(folder))
    print(table)
    if arguments.write:
        renew_part(PAGE, BEGIN, END, f"\n\n{table}\n")


def measure(folder: Path) -> list[Measured]:
    """All graphs; AssertionError where two of them write different texts."""
    found = []
    for context in CONTEXTS:
        for grows in (True, False) if context > FIRST_ROWS else (True,):
            path = folder / f"bytes-{context}{'' if grows else '-whole'}.tflite"
            if not path.exists():
                say(f"{path.name}: converting")
                convert(path, context, FIRST_ROWS if grows else context)
            say(f"{path.name}: writing")
            words = [sys.executable, "-c", _WRITING, str(path), PROMPT, *map(str, (NEW_TOKENS, THREADS, TURNS))]
            done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True)
            found.append(Measured(context, grows, **json.loads(done.stdout)))
    assert len({one.text for one in found}) == 1, found
    return found


def convert(path: Path, context: int, first_rows: int) -> None:
    """SmolLM2 at int8 without preparation, with caches that begin with so many rows."""
    source = smollm2.HERE
    smollm2.make(source)
    opened = open_model(source, TokenizerGraph.PORTABLE, THREADS)
    model = opened.model
    export = export_tokenizer(opened.preprocessor, model.family, source, tokens=model.description.vocabulary_size)
    spec = JobSpec(model_kind=ModelKind.FOLDER, model=str(source), io_mode=IoMode.BYTES, context=context)
    text_model = selection.text_model(spec, model, export, model_stop_tokens(model, export))
    graph = path.with_suffix(".graph")
    graph.write_bytes(bytes_mode.convert(dataclasses.replace(text_model, first_rows=first_rows)))
    draft = path.with_suffix(".part")
    bind(graph, model.weights, WeightFormat.INT8_PER_ROW, draft)
    graph.unlink()
    draft.rename(path)


def render(found: list[Measured]) -> str:
    """The table."""
    shortest = found[0].seconds
    lines = [
        f"| context | caches | {NEW_TOKENS} tokens behind {len(PROMPT)} bytes | of context {CONTEXTS[0]} | memory |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        caches = f"grow from {FIRST_ROWS} rows" if one.grows else "as long as the context, as before"
        if one.context <= FIRST_ROWS:
            caches = "as long as the context"
        lines.append(
            f"| {one.context:,} | {caches} | {one.seconds:.2f} s | {one.seconds / shortest:.2f}"
            f" | {one.memory / 1e6:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


_WRITING = """
import json, sys, time
from pathlib import Path
import psutil
from pipeline.inference.text_model import TextModel
path, prompt = Path(sys.argv[1]), sys.argv[2].encode()
new, threads, turns = map(int, sys.argv[3:])
model, seconds = TextModel(path, threads), []
for _ in range(turns + 1):
    started = time.process_time()
    answer = model.complete(prompt, new)
    seconds.append(time.process_time() - started)
assert len(answer.tokens) == new
memory = psutil.Process().memory_info().rss
print(json.dumps({"seconds": min(seconds[1:]), "memory": memory, "text": answer.text.decode()}))
"""


if __name__ == "__main__":
    main()
