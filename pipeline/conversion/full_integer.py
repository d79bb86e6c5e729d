"""The recipe full-int8: weights and activations int8, with the activations' ranges taken from a calibration text.

A bound float32 file is quantized by ai-edge-quantizer with the ranges that the preparation took. The matrix products
that have some take and give int8; the layers' others and the last one, which gives the logits, keep float activations,
quantized for each token, and so do norms, softmax and caches. Constant matrices that only turn features stay float.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, quantizer

from farm.recipes import WeightFormat
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Graph,
    Operator,
    code_of,
    inputs_of,
    load_model,
    opcode_index,
    pack_model,
    schema,
)
from pipeline.conversion.binding.storage import state_min_runtime
from pipeline.conversion.preparation.layer_work import StaticRanges
from pipeline.conversion.quantization.formats import FORMATS

DEQUANTIZE_INT8_VERSION = 2
# The place of a product's bias among its inputs.
BIAS = 2
DENSE = qtyping.TFLOperationName.FULLY_CONNECTED
LOOKUP = qtyping.TFLOperationName.EMBEDDING_LOOKUP
ACTIVATIONS = qtyping.TensorQuantizationConfig(
    num_bits=8, symmetric=False, granularity=qtyping.QuantGranularity.TENSORWISE
)
WEIGHTS = qtyping.TensorQuantizationConfig(num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE)
FLOAT_ACTIVATIONS = qtyping.OpQuantizationConfig(
    weight_tensor_config=WEIGHTS, compute_precision=qtyping.ComputePrecision.INTEGER
)
INT8_ACTIVATIONS = qtyping.OpQuantizationConfig(
    activation_tensor_config=ACTIVATIONS,
    weight_tensor_config=WEIGHTS,
    compute_precision=qtyping.ComputePrecision.INTEGER,
)


def quantize(float_file: Path, ranges: Mapping[str, StaticRanges], output: Path) -> None:
    """Write the file with int8 weights and activations; ranges: by the names of the matrices."""
    work = quantizer.Quantizer(str(float_file))
    work.update_quantization_recipe(".*", LOOKUP, op_config=FLOAT_ACTIVATIONS)
    seen: dict[str, dict[str, Any]] = {}
    names: dict[bool, list[str]] = {False: [], True: []}
    for graph, operator, matrix in _products(float_file):
        source, result = graph.tensors[inputs_of(operator)[0]], graph.tensors[int(operator.outputs[0])]
        static = ranges.get(matrix)
        biased = len(inputs_of(operator)) > BIAS and inputs_of(operator)[BIAS] >= 0
        if biased or operator.builtinOptions.fusedActivationFunction != schema.ActivationFunctionType.NONE:
            # The ranges are those of the product alone.
            static = None
        names[static is not None].append(re.escape(result.name.decode()))
        if static is not None:
            seen[source.name.decode()] = _limits(static.into)
            seen[result.name.decode()] = _limits(static.out)
    for static_ones, config in ((False, FLOAT_ACTIVATIONS), (True, INT8_ACTIVATIONS)):
        if names[static_ones]:
            # One pattern for all: each is tried on each tensor.
            work.update_quantization_recipe(f"^({'|'.join(names[static_ones])});", DENSE, op_config=config)
    with warnings.catch_warnings():
        # It opens an interpreter that keeps all tensors, of which that warns.
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all_tensors`")
        output.write_bytes(bytes(work.quantize(seen).quantized_model))
    state_versions(output)


def _products(path: Path) -> Iterator[tuple[Graph, Operator, str]]:
    """The matrix products of all graphs that read one of the model's weights, with its name."""
    model = load_model(path)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if code_of(model, operator) == Builtin.FULLY_CONNECTED:
                name = graph.tensors[inputs_of(operator)[1]].name.decode().rsplit("/", 1)[-1]
                if name.endswith(("_weight", "embedding")):
                    yield graph, operator, name


def _limits(span: tuple[float, float]) -> dict[str, Any]:
    return {"min": np.array([[span[0]]], np.float32), "max": np.array([[span[1]]], np.float32)}


def state_versions(path: Path) -> None:
    """Give the operators the versions that they need: ai-edge-quantizer leaves those of the float32 file."""
    model = load_model(path)
    content = np.memmap(path, np.uint8, "r")
    for buffer in model.buffers:
        # It puts constants behind the flatbuffer, which packing would leave out.
        if buffer.offset > 1:
            buffer.data = np.array(content[buffer.offset : buffer.offset + buffer.size])
            buffer.offset = buffer.size = 0
    support = FORMATS[WeightFormat.INT8_PER_ROW]
    versions = {Builtin.FULLY_CONNECTED: support.fully_connected, Builtin.EMBEDDING_LOOKUP: support.embedding_lookup}
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = code_of(model, operator)
            if code in versions and graph.tensors[inputs_of(operator)[1]].type == schema.TensorType.INT8:
                operator.opcodeIndex = opcode_index(model, code, versions[code])
            elif code == Builtin.DEQUANTIZE:
                operator.opcodeIndex = opcode_index(model, code, DEQUANTIZE_INT8_VERSION)
    state_min_runtime(model, WeightFormat.INT8_PER_ROW)
    path.write_bytes(pack_model(model))
