"""One bound model for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.recipes import WeightFormat
from pipeline.inference.interpreter import TokenModel, open_token_model
from tests.fixtures import bound_models
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE


@pytest.fixture(scope="session")
def gpt2_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bound_models.bind_sizes(GPT2_LIKE, WeightFormat.FLOAT32, tmp_path_factory.mktemp("bound") / "gpt2.tflite")


@pytest.fixture(scope="session")
def llama_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bound_models.bind_sizes(LLAMA_LIKE, WeightFormat.INT8_PER_ROW, tmp_path_factory.mktemp("bound") / "l.tflite")


@pytest.fixture
def model(gpt2_file: Path) -> TokenModel:
    return open_token_model(gpt2_file)
