from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farm.errors import FileUnreadable, QualityMissed
from farm.recipes import WeightFormat
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.inference.interpreter import open_token_model
from pipeline.litert_lm import check, signatures
from tests.fixtures import bound_models, dynamic_graphs
from tests.fixtures.decoders import random_weights, viewed
from tests.fixtures.weightless_graphs import GPT2_LIKE

TOKENS = np.random.default_rng(3).integers(0, 96, 40).tolist()


@pytest.fixture(params=list(dynamic_graphs.GRAPHS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_both_signatures_compute_what_a_full_pass_does(name: str, tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph(name, tmp_path / "model.tflite")
    contract = open_token_model(path).contract
    signatures.derive(path, contract, tmp_path / "derived.tflite")
    description = dynamic_graphs.GRAPHS[name]
    expected = NumpyForward(description, viewed(random_weights(description))).logits_after(np.array(TOKENS, np.int32))
    model = check.LiteRtLmModel(tmp_path / "derived.tflite", contract, rows=64)
    model.prefill(TOKENS[:23])
    model.prefill(TOKENS[23:30])
    found = np.stack([model.step(token) for token in TOKENS[30:]])
    np.testing.assert_allclose(found, expected[30:], atol=2e-4)


def test_the_weights_are_the_models_own(name: str, tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph(name, tmp_path / "model.tflite", WeightFormat.INT8_PER_ROW)
    contract = open_token_model(path).contract
    signatures.derive(path, contract, tmp_path / "derived.tflite")
    assert (tmp_path / "derived.tflite").read_bytes().endswith(path.read_bytes())
    own, derived = open_token_model(path), check.LiteRtLmModel(tmp_path / "derived.tflite", contract, rows=64)
    derived.prefill(TOKENS[:20])
    own.prefill(TOKENS[:20])
    assert np.abs(derived.step(TOKENS[20]) - own.step(TOKENS[20])).max() < 1e-3


def test_other_tokens_are_refused_unless_near_ties(tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite")
    model = open_token_model(path)
    tokens, margins = [], []
    logits = model.read(TOKENS[:9])
    for _ in range(4):
        second, best = np.partition(logits, -2)[-2:]
        tokens.append(int(logits.argmax()))
        margins.append(float(best - second))
        logits = model.step(tokens[-1])
    derived = tmp_path / "derived.tflite"
    signatures.derive(path, model.contract, derived)

    def compare(tokens: list[int], near_tie: float) -> int:
        return check.compare(derived, model.contract, TOKENS[:9], tokens, margins, near_tie)

    assert compare(tokens, 0.0) == 4
    wrong = [tokens[0], tokens[1], (tokens[2] + 1) % 96, tokens[3]]
    assert compare(wrong, 1e9) == 2
    with pytest.raises(QualityMissed, match="behind 11 tokens"):
        compare(wrong, 0.0)


def test_a_file_of_fixed_lengths_is_refused(tmp_path: Path) -> None:
    path = bound_models.bind_sizes(GPT2_LIKE, WeightFormat.FLOAT32, tmp_path / "static.tflite")
    with pytest.raises(FileUnreadable, match="without --static-shapes"):
        signatures.derive(path, open_token_model(path).contract, tmp_path / "derived.tflite")
