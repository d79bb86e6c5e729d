"""One recipe's file of a model, as a job writes it, in a process of its own, so that its memory and time are its own.

    python -m benchmarks.quantization_file MODEL RECIPE FOLDER

Writes RECIPE.tflite, what the app's engine asks for beside it, and what was measured as RECIPE.json. The processor's
seconds do not depend on what else the machine does; with two threads on an idle machine it takes less than these.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.spine import say
from farm import digests, recipes
from farm.jobspec import DEFAULT_CONTEXT, TokenizerGraph
from farm.recipes import Activations, Recipe, WeightFormat
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import full_integer, graph, preparation
from pipeline.conversion.binding import bind
from pipeline.conversion.mapping import MappedModel
from pipeline.conversion.opening import open_model
from pipeline.conversion.preparation import Prepared
from pipeline.conversion.preparation.calibration import calibration_tokens
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.inference.model_info import ModelInfo
from pipeline.models import metadata
from pipeline.tokenizers.export import TokenizerExport, export_tokenizer

THREADS = 2


@dataclass(frozen=True)
class Made:
    """prepare and whole: the processor's seconds of the preparation, and of all from the model's files to the written
    one. memory: the most that the process held, in bytes. float32_bytes: of the model's weights. notes: the
    preparation's."""

    prepare: float
    whole: float
    memory: int
    float32_bytes: int
    notes: tuple[str, ...]


def make(source: Path, recipe: Recipe, folder: Path) -> tuple[Path, Made]:
    """The recipe's file and what was measured; made unless the folder has both."""
    path, figures = folder / f"{recipe.alias}.tflite", folder / f"{recipe.alias}.json"
    if not (path.exists() and figures.exists()):
        say(f"{source.name} at {recipe.alias}")
        subprocess.run([sys.executable, "-m", __name__, source, recipe.alias, folder], check=True, stdout=2)
    return path, Made(**json.loads(figures.read_text()))


def main(source: Path, recipe: Recipe, folder: Path) -> None:
    """Write the files."""
    opened = open_model(source, TokenizerGraph.PORTABLE, THREADS)
    model = opened.model
    said, vocabulary = metadata.read(source), model.description.vocabulary_size
    export = export_tokenizer(
        opened.preprocessor, model.family, source, tokens=vocabulary, prompting=said.prompting
    )  # fmt: skip
    weightless = folder / f"{recipe.alias}-graph.tflite"
    steps = preparation.steps_of(recipe, APP_RUNTIME)
    weightless.write_bytes(graph.convert(preparation.describe(model.description, steps)))
    formats = choose_formats(model.description, recipe, APP_RUNTIME)
    began = time.process_time()
    prepared: Prepared | None = None
    if steps:
        tokens = calibration_tokens(
            export, vocabulary, recipe.calibration_length, said.prompting, rows=recipe.calibration_texts
        )  # fmt: skip
        prepared = preparation.prepare(
            model.description, model.weights, steps, formats.products, tokens, lambda _share, _what: None, THREADS,
            recipe.finer_share,
        )  # fmt: skip
    seconds = time.process_time() - began
    path, draft = folder / f"{recipe.alias}.tflite", folder / f"{recipe.alias}-draft.tflite"
    static = recipe.activations is Activations.STATIC_INT8
    finer = {} if prepared is None else prepared.finer
    bind(
        weightless, model.weights if prepared is None else prepared.weights,
        WeightFormat.FLOAT32 if static else formats.default, draft, norms_folded=recipe.fold_norms,
        exceptions={} if static else {**formats.by_name, **finer}, scales={} if prepared is None else prepared.scales,
    )  # fmt: skip
    if prepared is not None and static:
        full_integer.quantize(draft, prepared.ranges, draft)
    draft.rename(path)
    weightless.unlink()
    _write_info(path, model, export, recipe)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = 4 * sum(int(np.prod(shape)) for shape in model.description.weight_shapes().values())
    made = Made(seconds, time.process_time(), memory, whole, () if prepared is None else prepared.notes)
    path.with_suffix(".json").write_text(json.dumps(asdict(made)))


def _write_info(path: Path, model: MappedModel, export: TokenizerExport, recipe: Recipe) -> None:
    """What the app's engine reads beside the file."""
    description = model.description
    # An engine wants a token to stop at; this one is seldom written.
    last = description.vocabulary_size - 1
    ModelInfo(
        name=model.family, family=model.family, io_mode="tokens", recipe=recipe.name, context=DEFAULT_CONTEXT,
        prefill=(), vocabulary_size=description.vocabulary_size, layers=len(description.layers),
        kv_heads=description.key_value_heads, head_dim=description.head_size, start_token=export.start_token,
        end_token=last, stop_tokens=(last,), tokenizer=None, tokenizer_sha256=None, model_sha256=digests.of_file(path),
        source="", source_digest=None,
    ).write(path.with_suffix(".info.json"))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), recipes.find(sys.argv[2]), Path(sys.argv[3]))
