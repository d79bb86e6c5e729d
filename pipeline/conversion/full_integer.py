"""The recipe full-int8: weights and activations int8, with the activations' ranges taken from a calibration text.

A bound float32 file is calibrated and quantized by ai-edge-quantizer. All matrix products of the layers take and give
int8. The last one, which gives the logits, keeps float activations, and so do norms, softmax and caches: with 256 steps
for the logits of a whole vocabulary a third of the greedy tokens would be others.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, quantizer

from farm.recipes import WeightFormat
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    code_of,
    inputs_of,
    load_model,
    opcode_index,
    pack_model,
    schema,
)
from pipeline.conversion.binding.storage import state_min_runtime
from pipeline.conversion.graph import DECODE, prefill_name, score_name
from pipeline.conversion.quantization.formats import FORMATS
from pipeline.inference.contract import LOGITS, POSITIONS, RUN, TOKENS
from pipeline.inference.dynamic_model import DynamicModel
from pipeline.inference.interpreter import TokenModel, open_token_model

# Calls of each signature while ranges are taken. The quantizer wants them all at once, each with caches of its own.
DECODE_CALLS = 32
PREFILL_CALLS = 3
# Of a call of the dynamic form that reads a prompt; its caches at the beginning have room for three.
PREFILL_TOKENS = 64
DEQUANTIZE_INT8_VERSION = 2
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


def quantize(float_file: Path, tokens: Sequence[int], output: Path, context: int | None = None) -> None:
    """Write the file with int8 weights and activations; tokens: of the calibration text, two or more.

    context: the longest text of a file in the dynamic form.
    """
    model = open_token_model(float_file, context=context)
    given = [int(token) for token in tokens[: model.contract.context]]
    work = quantizer.Quantizer(str(float_file))
    work.update_quantization_recipe(".*", LOOKUP, op_config=FLOAT_ACTIVATIONS)
    work.update_quantization_recipe(".*", DENSE, op_config=INT8_ACTIVATIONS)
    for name in logit_products(float_file):
        work.update_quantization_recipe(f".*{name}.*", DENSE, op_config=FLOAT_ACTIVATIONS)
    with warnings.catch_warnings():
        # It keeps all tensors to see their ranges, of which the interpreter warns.
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all_tensors`")
        ranges = work.calibrate(_feeds(model, given))
        output.write_bytes(bytes(work.quantize(ranges).quantized_model))
    state_versions(output)


def logit_products(path: Path) -> list[str]:
    """The names of what the last matrix product of each graph gives: the logits, where there are any."""
    model = load_model(path)
    names = []
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        if any(item.name == LOGITS.encode() for item in signature.outputs):
            dense = [operator for operator in graph.operators if code_of(model, operator) == Builtin.FULLY_CONNECTED]
            names.append(graph.tensors[int(dense[-1].outputs[0])].name.decode())
    return names


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


def _feeds(model: TokenModel, tokens: list[int]) -> dict[str, list[dict[str, Any]]]:
    """What each signature is called with while the model reads the text."""
    if isinstance(model, DynamicModel):
        calls = (read for length in (1, PREFILL_TOKENS) for read in _calls(model, tokens, length))
        return {RUN: [model.call_inputs(read[: model.longest_call]) | model.caches() for read in calls]}
    names = {DECODE: 1} | {prefill_name(length): length for length in model.contract.prefill}
    if model.contract.verify is not None:
        names[score_name(model.contract.verify)] = model.contract.verify
    return {
        name: [
            {
                TOKENS: np.array([read + [0] * (length - len(read))], np.int32),
                POSITIONS: np.arange(model.position, model.position + length, dtype=np.int32),
                **model.caches(),
            }
            for read in _calls(model, tokens, length)
        ]
        for name, length in names.items()
    }


def _calls(model: TokenModel, tokens: list[int], length: int) -> Iterator[list[int]]:
    """The tokens of calls of that length, each given when the model has read those before."""
    calls = DECODE_CALLS if length == 1 else PREFILL_CALLS
    for start in range(0, min(calls * length, len(tokens)), length):
        model.rewind()
        if start:
            model.prefill(tokens[:start])
        yield tokens[start : start + length]
