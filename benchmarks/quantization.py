"""What each recipe keeps of a model, beside its size and speed: writes a table of docs/quantization.md.

    python -m benchmarks.quantization MODEL [--recipes int8,int4] [--folder FOLDER] [--write]

MODEL is a folder or preset, such as examples/smollm2. The reference is asked once, each recipe's file is written and
read in the interpreter, and steps are timed in turns. FOLDER (default: a temporary one) keeps the files and the
reference. Some minutes a recipe; `--write` puts the table into the page, under the model's name.
"""

from __future__ import annotations

import argparse
import pickle
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farm import recipes
from farm.jobspec import DEFAULT_CONTEXT, TokenizerGraph
from farm.locations import ROOT
from farm.prompting import Prompting
from farm.recipes import Activations, Recipe, WeightFormat
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import full_forward, full_integer, graph, preparation, reference_plan, static_form
from pipeline.conversion.binding import bind
from pipeline.conversion.mapping import MappedModel
from pipeline.conversion.opening import open_model
from pipeline.conversion.preparation.calibration import calibration_tokens
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.inference import divergence
from pipeline.inference.divergence import Divergence
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.reference import TextReference
from pipeline.models import metadata
from pipeline.tokenizers.export import TokenizerExport, export_tokenizer

PAGE = ROOT / "docs" / "quantization.md"
PREFILL = (128,)
THREADS = 2
# Steps that are timed behind so many tokens, in turns.
TEXT_TOKENS, STEPS, TURNS = 64, 60, 5
HEADER = (
    "| recipe | divergence | perplexity ratio | top-1 | file | of float32 | prepared and written | a step |",
    "|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Measured:
    """One recipe's file. seconds: of preparation and writing. step: the fastest turn's, in seconds."""

    recipe: Recipe
    quality: Divergence
    file_bytes: int
    seconds: float
    step: float

    def row(self, float32_bytes: int, steps: dict[str, float]) -> str:
        """As a line of the table; steps: of all recipes by alias."""
        plain = steps.get(f"{self.recipe.alias}-plain")
        beside = "" if plain is None else f" ({self.step / plain:.2f} of plain)"
        cells = (
            f"`{self.recipe.alias}`", f"{self.quality.mean:.4f}",
            f"{self.quality.ratio:.4f} +- {self.quality.ratio_error:.4f}", f"{self.quality.top1_agreement:.1%}",
            f"{self.file_bytes / 1e6:.1f} MB", f"{self.file_bytes / float32_bytes:.3f}", f"{self.seconds:.0f} s",
            f"{self.step * 1e3:.2f} ms{beside}",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--recipes", default=",".join(one.alias for one in recipes.RECIPES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)
    chosen = [recipes.find(name) for name in given.recipes.split(",")]
    with tempfile.TemporaryDirectory(prefix="quantization-") as temporary:
        lines = compare(given.model, chosen, given.folder or Path(temporary))
    print("\n".join(lines))
    if given.write:
        _write(given.model.name, lines)


def compare(source: Path, chosen: Sequence[Recipe], folder: Path) -> list[str]:
    """The table's lines for one model."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = open_model(source, TokenizerGraph.PORTABLE)
    model, prompting = opened.model, metadata.read(source).prompting
    export = export_tokenizer(
        opened.preprocessor, model.family, source, tokens=model.description.vocabulary_size, prompting=prompting
    )
    kept = folder / "reference.pickle"
    if not kept.exists():
        plan = reference_plan.plan_reference(model.description, DEFAULT_CONTEXT, export, prompting, export.encode)
        kept.write_bytes(pickle.dumps(full_forward.read_texts(opened.forward, plan.texts)))
    # Its own file of this run or an earlier one.
    texts: tuple[TextReference, ...] = pickle.loads(kept.read_bytes())  # noqa: S301
    written = [(recipe, *_write_file(model, export, prompting, recipe, folder)) for recipe in chosen]
    models = {recipe.alias: open_token_model(path, THREADS) for recipe, path, _ in written}
    qualities = {alias: divergence.measure(opened_file, texts) for alias, opened_file in models.items()}
    steps = _time_steps(models)
    float32_bytes = 4 * sum(int(np.prod(shape)) for shape in model.description.weight_shapes().values())
    positions = next(iter(qualities.values())).positions
    return [
        f"{source.name}, {positions} positions of the farm's texts, {THREADS} threads:\n",
        *HEADER,
        *(
            Measured(
                recipe, qualities[recipe.alias], path.stat().st_size, seconds, steps[recipe.alias]
            ).row(float32_bytes, steps)
            for recipe, path, seconds in written
        ),
    ]  # fmt: skip


def _write_file(
    model: MappedModel, export: TokenizerExport, prompting: Prompting, recipe: Recipe, folder: Path
) -> tuple[Path, float]:
    """The recipe's file, and the seconds of preparation and writing; the graph is converted before."""
    description = preparation.describe(model.description, recipe.preparation)
    weightless = folder / f"{recipe.alias}-graph.tflite"
    weightless.write_bytes(static_form.fix_lengths(graph.convert(description), description, DEFAULT_CONTEXT, PREFILL))
    formats = choose_formats(model.description, recipe, APP_RUNTIME)
    path = folder / f"{recipe.alias}.tflite"
    started = time.perf_counter()
    prepared = None
    if recipe.preparation:
        tokens = calibration_tokens(
            export, description.vocabulary_size, recipe.calibration_length, prompting, rows=recipe.calibration_texts
        )
        prepared = preparation.prepare(
            model.description, model.weights, recipe.preparation, formats.products, tokens, lambda _share, _what: None
        )
    static = recipe.activations is Activations.STATIC_INT8
    bind(
        weightless, model.weights if prepared is None else prepared.weights,
        WeightFormat.FLOAT32 if static else formats.default, path, norms_folded=recipe.fold_norms,
        exceptions={} if static else formats.by_name, scales={} if prepared is None else prepared.scales,
    )  # fmt: skip
    if prepared is not None and static:
        full_integer.quantize(path, prepared.ranges, path)
    return path, time.perf_counter() - started


def _time_steps(models: dict[str, TokenModel]) -> dict[str, float]:
    """Seconds of a step by recipe: the least of the turns' medians."""
    found: dict[str, list[float]] = {alias: [] for alias in models}
    for _ in range(TURNS):
        for alias, model in models.items():
            model.rewind()
            model.read([1] * TEXT_TOKENS)
            times = []
            for _ in range(STEPS):
                started = time.perf_counter()
                model.step(1)
                times.append(time.perf_counter() - started)
            found[alias].append(statistics.median(times))
    return {alias: min(times) for alias, times in found.items()}


def _write(name: str, lines: Sequence[str]) -> None:
    """Put the lines between the model's marks."""
    begin, end = f"<!-- python -m benchmarks.quantization {name} --write -->", f"<!-- end of {name} -->"
    page = PAGE.read_text()
    section = "\n".join([begin, *lines, end])
    PAGE.write_text(re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
