from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farm import recipes
from farm.recipes import WeightFormat
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import full_integer, graph, preparation
from pipeline.conversion.binding import bind
from pipeline.conversion.binding.flatbuffer import Builtin, code_of, inputs_of, load_model, schema
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation import static_ranges
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.inference.interpreter import open_token_model
from tests.fixtures.decoders import LLAMA, random_weights, viewed

DESCRIPTION = replace(LLAMA, hidden_size=64, intermediate_size=64)
TOKENS = np.random.default_rng(5).integers(0, 96, (8, 20)).tolist()
INT8 = schema.TensorType.INT8


def products(path: Path) -> dict[str, tuple[bool, bool]]:
    """By the name of the matrix: whether it is int8, and whether its input and output are."""
    model = load_model(path)
    found = {}
    for part in model.subgraphs:
        for operator in part.operators:
            if code_of(model, operator) == Builtin.FULLY_CONNECTED:
                first, matrix = (part.tensors[index] for index in inputs_of(operator)[:2])
                result = part.tensors[int(operator.outputs[0])]
                found[matrix.name.decode().rsplit("/", 1)[-1]] = (
                    matrix.type == INT8, first.type == INT8 and result.type == INT8,
                )  # fmt: skip
    return found


def test_products_are_static_by_their_ranges_and_the_others_for_each_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_ranges, "BUDGET", 1.0)
    arrays = random_weights(DESCRIPTION, outliers=2.0)
    recipe = recipes.find("full-int8")
    formats = choose_formats(DESCRIPTION, recipe, APP_RUNTIME)
    made = preparation.prepare(
        DESCRIPTION, viewed(arrays), recipe.preparation, formats.products, TOKENS, lambda _share, _what: None
    )
    weightless, exact, written = (tmp_path / name for name in ("graph.tflite", "exact.tflite", "int8.tflite"))
    weightless.write_bytes(graph.convert(made.description))
    bind(weightless, made.weights, WeightFormat.FLOAT32, exact)
    matrices = {name for name in arrays if name.startswith("layer") and name.endswith("weight")}
    assert set(made.ranges) == matrices
    ranges = dict(list(made.ranges.items())[::2])
    full_integer.quantize(exact, ranges, written)
    found = products(written)
    assert {name for name, (_, static) in found.items() if static} == set(ranges)
    assert all(found[name][0] for name in matrices)
    # What only turns features is no weight of the model.
    assert any(not stored for name, (stored, _) in found.items() if name not in matrices)
    wanted = NumpyForward(DESCRIPTION, viewed(arrays)).logits_after(np.array(TOKENS[0], np.int32))
    given = open_token_model(written, context=32).score(TOKENS[0])
    error = np.square(given - wanted).mean() / np.square(wanted).mean()
    assert 0 < error < 0.01
