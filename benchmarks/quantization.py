"""What each recipe keeps of a model, beside its size and speed, and beside llama.cpp: a part of docs/quantization.md.

    GEMMA_TERMS=accepted python -m benchmarks.quantization MODEL [--recipes int8,int4] [--folder FOLDER] [--alone]
        [--no-speed] [--write]

MODEL is smollm2 or gemma3_270m, of the examples. Each recipe's file is made in a process of its own and read in the
interpreter, token for token with the model in float32. SmolLM2 is compared with llama.cpp's own formats of the same
weights on the same tokens as well; see benchmarks/llama_cpp_process.py. FOLDER (default: a temporary one) keeps files,
the reference and what was measured, all but the times, which are taken in some minutes; without it the whole takes some
minutes a recipe, and ten for llama.cpp. `--alone` gives what is timed the processor to itself (root only).
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import importlib
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import llama_cpp_process, quantization_goals, quantization_speed, spine
from benchmarks.quantization_file import THREADS, make
from benchmarks.quantization_goals import Measured
from benchmarks.rows import renew_part, table
from farm import recipes
from farm.jobspec import DEFAULT_CONTEXT, TokenizerGraph
from farm.native_output import stdout_suppressed
from farm.recipes import Recipe
from pipeline.conversion import full_forward, reference_plan
from pipeline.conversion.opening import open_model
from pipeline.inference import divergence
from pipeline.inference.divergence import Divergence
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.reference import TextReference
from pipeline.models import metadata
from pipeline.tokenizers.export import export_tokenizer

PAGE = spine.ROOT / "docs" / "quantization.md"
MODELS = {"smollm2": "SmolLM2-135M-Instruct", "gemma3_270m": "Gemma 3 270M"}
# Of the models that llama.cpp is compared on, its types.
RIVALS = {"smollm2": ("Q8_0", "Q4_0", "Q4_K_M")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--recipes", default=",".join(one.alias for one in recipes.RECIPES if not one.exact))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--alone", action="store_true", help="time with the priority of real-time programs")
    parser.add_argument("--no-speed", action="store_true", help="leave the times out")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)
    chosen = [recipes.find(name) for name in given.recipes.split(",")]
    example = importlib.import_module(f"examples.{given.model}.__main__")
    example.make(example.HERE)
    with spine.kept_folder(given.folder) as folder:
        lines = compare(given.model, example.HERE, chosen, folder.resolve(), given.alone, not given.no_speed)
    print("\n".join(lines))
    if given.write:
        _write(given.model, lines)


def compare(name: str, source: Path, chosen: Sequence[Recipe], folder: Path, alone: bool, timed: bool) -> list[str]:
    """The lines of the page for one model."""
    load = os.getloadavg()[0]
    kinds = RIVALS.get(name, ())
    python = llama_cpp_process.environment(folder) if kinds else None
    texts = _reference(source, folder)
    made = {recipe.alias: make(source, recipe, folder) for recipe in chosen}
    files = {alias: path for alias, (path, _) in made.items()}
    rivals = {} if python is None else {kind: llama_cpp_process.quantized(python, folder, kind) for kind in kinds}
    qualities = {alias: _quality(path, texts) for alias, path in files.items()}
    qualities |= {kind: _rival_quality(python, path, texts) for kind, path in rivals.items() if python is not None}
    times = {}
    jvm = None
    if timed:
        spine.say("the times, in turns")
        text = max((text.tokens for text in texts), key=len)[: quantization_speed.READ].tolist()
        times = quantization_speed.in_turns(files, rivals, python, text, alone)
        jvm = quantization_speed.on_the_jvm(files["int8"], folder, text) if "int8" in files else None
    whole = next(iter(made.values()))[1].float32_bytes
    found = {
        key: Measured(qualities[key], path.stat().st_size, whole, made[key][1] if key in made else None, times.get(key))
        for key, path in (files | rivals).items()
    }
    positions = next(iter(qualities.values())).positions
    timing = f"Load average at the beginning: {load:.1f}" + (
        ", what was timed had the processor to itself." if alone else "."
    )
    return [
        f"{MODELS[name]}, {positions:,} positions, {THREADS} threads. {timing}\n",
        *quantization_goals.measured_table(found),
        "",
        *table(list(quantization_goals.rows(name, found, jvm))),
        *[f"\n`{alias}`: {note}" for alias, (_, figures) in made.items() for note in figures.notes],
    ]


def _reference(source: Path, folder: Path) -> tuple[TextReference, ...]:
    """What the model in float32 holds to come next, on the farm's texts."""
    kept = folder / "reference.pickle"
    if not kept.exists():
        spine.say(f"{source.name} in float32")
        opened = open_model(source, TokenizerGraph.PORTABLE)
        model, prompting = opened.model, metadata.read(source).prompting
        tokens = model.description.vocabulary_size
        export = export_tokenizer(opened.preprocessor, model.family, source, tokens=tokens, prompting=prompting)
        plan = reference_plan.plan_reference(model.description, DEFAULT_CONTEXT, export, prompting, export.encode)
        kept.write_bytes(pickle.dumps(full_forward.read_texts(opened.forward, plan.texts)))
    # Its own file of this run or an earlier one.
    texts: tuple[TextReference, ...] = pickle.loads(kept.read_bytes())  # noqa: S301
    return texts


def _quality(path: Path, texts: Sequence[TextReference]) -> Divergence:
    def measure() -> Divergence:
        with stdout_suppressed():
            model = open_token_model(path, THREADS, max(DEFAULT_CONTEXT, *(len(text.tokens) for text in texts)))
        return divergence.measure(model, texts)

    return _once(path, measure)


def _rival_quality(python: Path, path: Path, texts: Sequence[TextReference]) -> Divergence:
    """Of a file of llama.cpp's, on the same tokens."""

    def measure() -> Divergence:
        logits = llama_cpp_process.logits(python, path, [text.tokens.tolist() for text in texts])
        rows = [row for text, found in zip(texts, logits, strict=True) for row in divergence.compare(text, found)]
        return divergence.summarise(rows, [value for text in texts for value in text.nll.tolist()])

    return _once(path, measure)


def _once(path: Path, measure: Callable[[], Divergence]) -> Divergence:
    """What a file keeps, measured unless it was before."""
    kept = path.with_suffix(".quality.json")
    if not kept.exists():
        spine.say(f"what {path.stem} keeps")
        kept.write_text(json.dumps(asdict(measure())))
    return Divergence(**json.loads(kept.read_text()))


def _write(name: str, lines: Sequence[str]) -> None:
    """Put the lines between the model's marks."""
    begin, end = f"<!-- python -m benchmarks.quantization {name} --write -->", f"<!-- end of {name} -->"
    renew_part(PAGE, begin, end, "\n".join(["", *lines, ""]))


if __name__ == "__main__":
    main()
