"""Which dimensions of a dynamic graph follow which length.

TFLite's own shape inference is asked: the graph is allocated with small lengths, and again with one length doubled.
What doubles follows that length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from farm.native_output import stdout_suppressed
from pipeline.conversion.binding.flatbuffer import Model, pack_model, schema, shape_of
from pipeline.conversion.binding.weight_inputs import WEIGHT_PREFIX

# How long everything is at first; caches hold more than tokens that are read, also when those are doubled.
PROBE = 8
READ_PROBE = 2


@dataclass(frozen=True)
class Dimension:
    """A size: `factor` times a length, or `factor` itself where the length has no name."""

    factor: int
    length: str | None = None

    def at(self, lengths: Mapping[str, int]) -> int:
        """The size with these lengths."""
        return self.factor if self.length is None else self.factor * lengths[self.length]


Shape = tuple[Dimension, ...]


def infer_shapes(model: Model, inputs: Mapping[str, Shape], read: str, bound: Path | None = None) -> list[Shape]:
    """The shape of every tensor of a dynamic graph with one signature, by the shapes of those inputs.

    read: the length that is the number of tokens in a call. bound: the model's file if it has its weights.
    """
    names = sorted({size.length for shape in inputs.values() for size in shape if size.length is not None})
    lengths = {**dict.fromkeys(names, PROBE), read: READ_PROBE}
    with tempfile.TemporaryDirectory(prefix="lengths-") as folder:
        path = bound or Path(folder) / "graph.tflite"
        if bound is None:
            _write_without_weights(model, path)
        with stdout_suppressed():
            resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver)
        # Behind the file's tensors come the operators' own.
        plain = _sizes(interpreter, inputs, lengths)[: len(model.subgraphs[0].tensors)]
        doubled = {name: _sizes(interpreter, inputs, {**lengths, name: 2 * lengths[name]}) for name in names}
    shapes = []
    for tensor, sizes in enumerate(plain):
        shape = []
        for axis, size in enumerate(sizes):
            followed = [name for name in names if doubled[name][tensor][axis] == 2 * size != 0]
            shape.append(Dimension(size // lengths[followed[0]], followed[0]) if followed else Dimension(size))
        shapes.append(tuple(shape))
    return shapes


def _sizes(interpreter: Any, inputs: Mapping[str, Shape], lengths: Mapping[str, int]) -> list[tuple[int, ...]]:
    by_name = interpreter.get_signature_runner().get_input_details()
    for name, shape in inputs.items():
        interpreter.resize_tensor_input(by_name[name]["index"], [size.at(lengths) for size in shape])
    interpreter.allocate_tensors()
    details = sorted(interpreter.get_tensor_details(), key=lambda item: item["index"])
    return [tuple(int(size) for size in item["shape"]) for item in details]


def _write_without_weights(model: Model, path: Path) -> None:
    """The graph with its weights as constants that all lie in one hole of the file: as inputs they would take memory.

    The model is as it was afterwards.
    """
    signature, graph = model.signatureDefs[0], model.subgraphs[0]
    weights = {item.tensorIndex for item in signature.inputs if item.name.decode().startswith(WEIGHT_PREFIX)}
    kept = list(signature.inputs), list(graph.inputs), list(model.buffers)
    buffers = {tensor: graph.tensors[tensor].buffer for tensor in weights}
    sizes = {tensor: 4 * int(np.prod(shape_of(graph, tensor), dtype=np.int64)) for tensor in weights}
    try:
        signature.inputs = [item for item in signature.inputs if item.tensorIndex not in weights]
        graph.inputs = [tensor for tensor in graph.inputs if int(tensor) not in weights]
        first = len(model.buffers)
        model.buffers = [*model.buffers, *(_hole(sizes[tensor]) for tensor in weights)]
        for place, tensor in enumerate(weights):
            graph.tensors[tensor].buffer = first + place
        # The offset must be known before the head's length is; it is the same wherever it points to.
        start = -(-len(pack_model(model)) // 64) * 64
        for buffer in model.buffers[first:]:
            buffer.offset = start
        content = pack_model(model)
    finally:
        signature.inputs, graph.inputs, model.buffers = kept
        for tensor, buffer in buffers.items():
            graph.tensors[tensor].buffer = buffer
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(start + max(sizes.values(), default=0))


def _hole(size: int) -> Any:
    buffer = schema.BufferT()
    # Stands in for an offset, and is one that the packed file has a field for.
    buffer.offset, buffer.size = 1 << 40, size
    return buffer
