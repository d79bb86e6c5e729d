"""What the estimate says is what the engine takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inference import inspection, memory
from pipeline.inference.interpreter import open_token_model
from tests.fixtures import dynamic_graphs


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_the_caches_take_what_was_estimated(name: str, tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph(name, tmp_path / "model.tflite")
    found = memory.estimate(inspection.inspect(path), 600)
    assert found is not None
    assert found.context == 600
    model = open_token_model(path, context=600)
    model.read([1] * 600)
    assert found.cache_bytes == sum(cache.nbytes for cache in model.caches().values())
    assert found.bytes - found.cache_bytes == found.weight_bytes
    assert 0.5 * path.stat().st_size < found.weight_bytes < path.stat().st_size


def test_a_file_of_fixed_lengths_says_its_own_limit(gpt2_file: Path) -> None:
    found = memory.estimate(inspection.inspect(gpt2_file), 4096)
    assert found is not None
    assert (found.context, found.cache_bytes) == (48, 4 * 48 * 4 * 8 * 4)


def test_without_a_limit_or_caches_nothing_is_estimated(tmp_path: Path, gpt2_file: Path) -> None:
    path = dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite")
    assert memory.estimate(inspection.inspect(path), None) is None
    found = inspection.inspect(gpt2_file)
    other = inspection.Inspection(found.file_bytes, (), found.tensors, found.operators, found.sizes)
    assert memory.estimate(other, 100) is None
