"""How each weight is stored: its weight_format, tensor type, quantization, buffer, and the versions of the operators
behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from farm.errors import BindingFailed, RecipeNotRunnable
from farm.recipes import WeightFormat
from pipeline.conversion.binding.derived import DerivedWeights, Weight
from pipeline.conversion.binding.flatbuffer import (
    Builtin,
    Graph,
    Model,
    Operator,
    code_of,
    graph_name,
    inputs_of,
    name_of,
    new_tensor,
    opcode_index,
    readers,
    schema,
)
from pipeline.conversion.binding.weight_inputs import GraphWeights
from pipeline.conversion.quantization.formats import FORMATS, Granularity, StorageFormat
from pipeline.conversion.weights import Float32

# float16 constants are read through an operator of this version.
DEQUANTIZE_VERSION = 3

# Where an operator may read a matrix: the input's place, and whether it has a kernel for small integers there.
_MATRIX_PLACES = {
    (Builtin.FULLY_CONNECTED, 1): True,
    (Builtin.EMBEDDING_LOOKUP, 1): True,
    (Builtin.GATHER, 0): False,
}
_VECTOR_READERS = frozenset(
    {Builtin.ADD, Builtin.SUB, Builtin.MUL, Builtin.DIV, Builtin.RESHAPE, Builtin.FULLY_CONNECTED, Builtin.GATHER}
)


@dataclass
class ConstantTensor:
    """One weight in the file, shared by all subgraphs.

    buffer: index of its buffer. row_scales: the quantization objects that get its scales, one per subgraph: one scale
    a row, or one in all.
    scale_buffer: the buffer of its scales when these are a tensor, as for blocks. chosen_scales: those that its values
    were rounded to before, None where they come from the values.
    """

    weight: Weight
    weight_format: WeightFormat
    shape: tuple[int, ...]
    buffer: int
    row_scales: list[Any] = field(default_factory=list)
    scale_buffer: int | None = None
    chosen_scales: Float32 | None = None

    @property
    def scales(self) -> int:
        """How many scales each of `row_scales` gets."""
        return 1 if FORMATS[self.weight_format].granularity is Granularity.TENSOR else self.shape[0]


Place = tuple[int, int]


def assign_storage(
    model: Model, weights: list[GraphWeights], source: DerivedWeights, weight_format: WeightFormat,
    exceptions: Mapping[str, WeightFormat] = MappingProxyType({}), scales: Mapping[str, Float32] = MappingProxyType({}),
) -> list[ConstantTensor]:  # fmt: skip
    """Make every weight that is read a constant of the graph; matrices in that format, or in that of `exceptions` by
    their names, where operators can read it. scales: of matrices that were rounded before.

    BindingFailed when an operator reads a weight in a way the binder does not know, when a weight is read nowhere, or
    when it would have to be stored twice.
    """
    places = _reading_places(model, weights)
    _require_each_once(places, weights)
    stored: dict[Weight, ConstantTensor] = {}
    for graph, taken in zip(model.subgraphs, weights, strict=True):
        users = readers(graph)
        for tensor, weight in taken.items():
            if not users[tensor]:
                continue
            if weight not in stored:
                shape = source.shape(weight)
                wanted = exceptions.get(weight.name, weight_format)
                chosen = _form_of(weight, shape, places[weight], wanted)
                stored[weight] = ConstantTensor(
                    weight, chosen, shape, _new_buffer(model), chosen_scales=scales.get(weight.name)
                )
            _make_constant(model, graph, tensor, stored[weight])
            _set_versions(model, users[tensor], tensor, FORMATS[stored[weight].weight_format])
    return list(stored.values())


def _reading_places(model: Model, weights: list[GraphWeights]) -> dict[Weight, set[Place]]:
    places: dict[Weight, set[Place]] = defaultdict(set)
    for graph, taken in zip(model.subgraphs, weights, strict=True):
        for operator in graph.operators:
            for position, tensor in enumerate(inputs_of(operator)):
                if tensor in taken:
                    place = (code_of(model, operator), position)
                    rank = len(graph.tensors[tensor].shape)
                    if not (place in _MATRIX_PLACES if rank == 2 else place[0] in _VECTOR_READERS):
                        raise BindingFailed(
                            f"{name_of(model, operator)} in {graph_name(graph)} reads the weight"
                            f" {taken[tensor].label} in a way that the binder does not know."
                        )
                    places[taken[tensor]].add(place)
    return places


def _require_each_once(places: Iterable[Weight], weights: list[GraphWeights]) -> None:
    weight_formats: dict[str, set[Weight]] = defaultdict(set)
    absorbed: set[str] = set()
    for weight in places:
        weight_formats[weight.name].add(weight)
        absorbed |= {weight.norm_scale or "", *(weight.shift or ())}
    for name, variants in weight_formats.items():
        if len(variants) > 1:
            labels = " and ".join(sorted(weight.label for weight in variants))
            raise BindingFailed(f"The weight {name} would be stored twice, as {labels}; the graph must read it once.")
    for taken in weights:
        for weight in taken.values():
            if weight.name not in weight_formats and weight.name not in absorbed:
                raise BindingFailed(f"No operator reads the weight {weight.name}; the graph must use every weight.")


def _form_of(weight: Weight, shape: tuple[int, ...], places: set[Place], weight_format: WeightFormat) -> WeightFormat:
    if len(shape) != 2:
        return WeightFormat.FLOAT32
    if FORMATS[weight_format].integer and not all(_MATRIX_PLACES[place] for place in places):
        return WeightFormat.FLOAT32
    width = FORMATS[weight_format].row_multiple
    if shape[1] % width:
        raise RecipeNotRunnable(
            f"The weight {weight.name} has rows of {shape[1]} values, no multiple of {width}; choose another recipe."
        )
    return weight_format


def _new_buffer(model: Model) -> int:
    model.buffers.append(schema.BufferT())
    return len(model.buffers) - 1


def _make_constant(model: Model, graph: Graph, index: int, stored: ConstantTensor) -> None:
    tensor = graph.tensors[index]
    tensor.name = f"{graph_name(graph)}/{stored.weight.label}".encode()
    described = FORMATS[stored.weight_format]
    match stored.weight_format:
        case WeightFormat.FLOAT32:
            tensor.buffer = stored.buffer
            return
        case WeightFormat.FLOAT16:
            _read_through_dequantize(model, graph, index, stored)
            return
    tensor.type, tensor.buffer = described.tensor_type, stored.buffer
    tensor.quantization = schema.QuantizationParametersT()
    if described.granularity is Granularity.BLOCK:
        _add_block_scales(model, graph, index, stored, described.block)
    else:
        tensor.quantization.quantizedDimension = 0
        stored.row_scales.append(tensor.quantization)


def _set_versions(model: Model, users: list[Operator], tensor: int, described: StorageFormat) -> None:
    for operator in users:
        if inputs_of(operator)[1:2] != [tensor]:
            continue
        code = code_of(model, operator)
        if code == Builtin.FULLY_CONNECTED:
            operator.opcodeIndex = opcode_index(model, code, described.fully_connected)
        elif code == Builtin.EMBEDDING_LOOKUP:
            operator.opcodeIndex = opcode_index(model, code, described.embedding_lookup)


def _read_through_dequantize(model: Model, graph: Graph, index: int, stored: ConstantTensor) -> None:
    """A float16 constant, and an operator that makes the float32 tensor of it; runtimes do that once."""
    tensor = graph.tensors[index]
    constant = new_tensor(graph, tensor.name + b"/float16", stored.shape, schema.TensorType.FLOAT16, stored.buffer)
    operator = schema.OperatorT()
    operator.opcodeIndex = opcode_index(model, Builtin.DEQUANTIZE, DEQUANTIZE_VERSION)
    operator.inputs, operator.outputs = [constant], [index]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    graph.operators = [operator, *graph.operators]


def _add_block_scales(model: Model, graph: Graph, index: int, stored: ConstantTensor, block: int) -> None:
    if stored.scale_buffer is None:
        stored.scale_buffer = _new_buffer(model)
    tensor = graph.tensors[index]
    shape = (stored.shape[0], stored.shape[1] // block)
    details = schema.BlockwiseQuantizationT()
    details.scales = new_tensor(graph, tensor.name + b"/scales", shape, schema.TensorType.FLOAT16, stored.scale_buffer)
    details.zeroPoints, details.blockSize = -1, block
    tensor.quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    tensor.quantization.details = details


def follow_buffers(stored: Iterable[ConstantTensor], moved: dict[int, int]) -> None:
    """Correct the buffers' indices after dead_tensors."""
    for weight in stored:
        weight.buffer = moved[weight.buffer]
        if weight.scale_buffer is not None:
            weight.scale_buffer = moved[weight.scale_buffer]


def state_min_runtime(model: Model, weight_format: WeightFormat) -> None:
    """Let the file's own note of the oldest runtime agree with what its operators now need."""
    needed = FORMATS[weight_format].min_runtime
    for metadata in model.metadata or []:
        if needed is not None and metadata.name == b"min_runtime_version":
            model.buffers[metadata.buffer].data = np.frombuffer(needed.encode().ljust(16, b"\0"), np.uint8)
