"""The binder beside independent tools: ai-edge-quantizer as the oracle for int8, and LiteRT-LM as another runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_quantizer import quantizer, recipe

from farm.recipes import WeightFormat
from pipeline.conversion.binding.flatbuffer import Model, load_model, schema
from pipeline.inference.interpreter import open_token_model
from tests.fixtures import bound_models, weightless_graphs
from tests.fixtures.weightless_graphs import GPT2_LIKE, LLAMA_LIKE, Sizes

TOKENS = [int(token) for token in np.random.default_rng(3).integers(0, 300, 24)]


def int8_constants(model: Model) -> dict[tuple[int, ...], list[tuple[bytes, bytes]]]:
    """Data and scales of every int8 tensor of `decode`, by shape."""
    found: dict[tuple[int, ...], list[tuple[bytes, bytes]]] = {}
    graph = next(graph for graph in model.subgraphs if graph.name == b"decode")
    for tensor in graph.tensors:
        if tensor.type == schema.TensorType.INT8:
            data = np.asarray(model.buffers[tensor.buffer].data).tobytes()
            scales = np.asarray(tensor.quantization.scale, np.float32).tobytes()
            found.setdefault(tuple(tensor.shape), []).append((data, scales))
    return {shape: sorted(constants) for shape, constants in found.items()}


@pytest.mark.parametrize("sizes", [GPT2_LIKE, LLAMA_LIKE], ids=lambda sizes: sizes.name)
def test_int8_is_what_ai_edge_quantizer_makes(sizes: Sizes, tmp_path: Path) -> None:
    plain = bound_models.bind_sizes(sizes, WeightFormat.FLOAT32, tmp_path / "plain.tflite")
    ours = bound_models.bind_sizes(sizes, WeightFormat.INT8_PER_ROW, tmp_path / "ours.tflite")
    oracle = quantizer.Quantizer(str(plain))
    oracle.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    oracle.quantize().export_model(str(tmp_path / "oracle.tflite"), overwrite=True)
    expected = int8_constants(load_model(tmp_path / "oracle.tflite"))
    assert sum(map(len, expected.values())) == len(
        [
            shape
            for shape in weightless_graphs.weight_shapes(sizes).items()
            if len(shape[1]) == 2 and shape[0] != "positions"
        ]
    )
    assert int8_constants(load_model(ours)) == expected
    np.testing.assert_array_equal(
        open_token_model(ours).logits_for(TOKENS), open_token_model(tmp_path / "oracle.tflite").logits_for(TOKENS)
    )
