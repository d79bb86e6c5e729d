"""Dropping what nobody reads any more, and names that occur once in the file."""

from __future__ import annotations

import numpy as np

from pipeline.conversion.binding.flatbuffer import Graph, Model, graph_name, schema


def compact(model: Model) -> dict[int, int]:
    """Drop tensors and then buffers without a reader; where each buffer that stayed has gone."""
    for index, graph in enumerate(model.subgraphs):
        moved = _compact_tensors(graph)
        for signature in model.signatureDefs or []:
            if signature.subgraphIndex == index:
                for item in [*signature.inputs, *signature.outputs]:
                    item.tensorIndex = moved[item.tensorIndex]
    return _compact_buffers(model)


def _compact_tensors(graph: Graph) -> dict[int, int]:
    used = {int(tensor) for tensor in [*graph.inputs, *graph.outputs]}
    for operator in graph.operators:
        used |= {int(tensor) for tensor in [*operator.inputs, *operator.outputs] if tensor >= 0}
        used |= {int(tensor) for tensor in _or_empty(operator.intermediates) if tensor >= 0}
    for tensor in sorted(used):
        quantization = graph.tensors[tensor].quantization
        if _is_blockwise(quantization):
            used.add(quantization.details.scales)
    moved = {old: new for new, old in enumerate(sorted(used))} | {-1: -1}
    graph.tensors = [graph.tensors[tensor] for tensor in sorted(used)]
    graph.inputs = _moved(graph.inputs, moved)
    graph.outputs = _moved(graph.outputs, moved)
    for operator in graph.operators:
        operator.inputs = _moved(operator.inputs, moved)
        operator.outputs = _moved(operator.outputs, moved)
        if operator.intermediates is not None:
            operator.intermediates = _moved(operator.intermediates, moved)
    for tensor in graph.tensors:
        if _is_blockwise(tensor.quantization):
            tensor.quantization.details.scales = moved[tensor.quantization.details.scales]
    return moved


def _compact_buffers(model: Model) -> dict[int, int]:
    # Buffer 0 is the schema's empty one and stays first.
    used = {0} | {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {metadata.buffer for metadata in model.metadata or []}
    moved = {old: new for new, old in enumerate(sorted(used))}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved[tensor.buffer]
    for metadata in model.metadata or []:
        metadata.buffer = moved[metadata.buffer]
    model.buffers = [model.buffers[buffer] for buffer in sorted(used)]
    return moved


def share_equal_buffers(model: Model) -> None:
    """Let tensors of equal content read one buffer: a table that several subgraphs read is then stored once."""
    first: dict[bytes, int] = {}
    kept = {}
    for index, buffer in enumerate(model.buffers):
        content = b"" if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()
        kept[index] = first.setdefault(content, index) if content else index
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = kept[tensor.buffer]


def name_tensors_uniquely(model: Model) -> None:
    """Let no two tensors of the file have the same name, which ai-edge-quantizer insists on."""
    seen: set[bytes] = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            stem = tensor.name or b"tensor"
            name = stem
            number = 1
            while name in seen:
                name = f"{graph_name(graph)}/".encode() + stem + (b"" if number == 1 else f".{number}".encode())
                number += 1
            tensor.name = name
            seen.add(name)


def _is_blockwise(quantization: object) -> bool:
    kind = getattr(quantization, "detailsType", schema.QuantizationDetails.NONE)
    return bool(kind == schema.QuantizationDetails.BlockwiseQuantization)


def _or_empty(tensors: object) -> list[int]:
    return [] if tensors is None else list(tensors)  # type: ignore[call-overload]


def _moved(tensors: object, moved: dict[int, int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([moved[int(tensor)] for tensor in _or_empty(tensors)], np.int32)
