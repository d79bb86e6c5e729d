"""The file itself: a flatbuffer head, then scales, then the weights, written while they are quantized.

Vectors outside the head are legal flatbuffer vectors. The head is packed with stand-ins of one element, whose 32-bit
offsets are then set to where the real vectors lie; so nothing big passes through the flatbuffer builder, and vectors
that several subgraphs share are stored once.

Up to about 2 GB the weights are such vectors (`Buffer.data`), which every runtime reads. Beyond, `Buffer.offset` and
`Buffer.size` say where they lie behind the flatbuffer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from farm.progress import Reporter
from pipeline.conversion.binding.derived import DerivedWeights, chunk_rows
from pipeline.conversion.binding.flatbuffer import Model, pack_model, schema
from pipeline.conversion.binding.storage import ConstantTensor
from pipeline.conversion.quantization.formats import FORMATS, Granularity
from pipeline.conversion.quantization.rounding import largest_magnitude, store_rows
from pipeline.conversion.weights import Float32

ALIGNMENT = 64
LENGTH_BYTES = 4
# Flatbuffers end at 2 GB; this much is left for head, scales and gaps.
INLINE_LIMIT = (1 << 31) - (64 << 20)
# Fields of the schema's tables, as offsets into their vtables.
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 4, 6, 8
QUANTIZATION_SCALE, QUANTIZATION_ZERO_POINT = 8, 10
# Stands in for a 64-bit offset or size: any value but the default, which the builder would leave out.
STAND_IN = 1 << 40


@dataclass(frozen=True)
class _Extent:
    """Where bytes lie in the file."""

    start: int
    size: int


@dataclass(frozen=True)
class _ScaleLayout:
    """Positions of the vectors between head and weights: zero points by their length, scales by buffer; and the end."""

    zero_points: dict[int, int]
    scales: dict[int, int]
    end: int


def write_model_file(
    model: Model,
    stored: list[ConstantTensor],
    source: DerivedWeights,
    output: Path,
    report: Reporter,
) -> int:
    """Write the file under a temporary name, flush it, rename it; the head's size in bytes."""
    total = sum(FORMATS[weight.weight_format].stored_bytes(weight.shape) for weight in stored)
    inline = total < INLINE_LIMIT
    _put_stand_ins(model, stored, inline)
    head = pack_model(model)
    layout = _lay_out_scales(stored, len(head))
    temporary = output.with_name(output.name + ".part")
    try:
        with temporary.open("wb", buffering=1 << 20) as stream:
            stream.seek(layout.end)
            extents: dict[int, _Extent] = {}
            done = 0
            for weight in sorted(stored, key=lambda weight: weight.buffer):
                report(done / max(1, total), f"writing {weight.weight.name}")
                done += FORMATS[weight.weight_format].stored_bytes(weight.shape)
                scales = _write_weight(stream, weight, source, extents, inline)
                if weight.row_scales and scales is not None:
                    _write_vector(stream, layout.scales[weight.buffer], scales)
            for length, position in layout.zero_points.items():
                _write_vector(stream, position, np.zeros(length, np.int64))
            _point_buffers(head, extents, inline)
            _point_scales(head, model, stored, layout)
            stream.seek(0)
            stream.write(head)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(output)
    finally:
        temporary.unlink(missing_ok=True)
    return len(head)


def _put_stand_ins(model: Model, stored: list[ConstantTensor], inline: bool) -> None:
    for weight in stored:
        for index in (weight.buffer, weight.scale_buffer):
            if index is None:
                continue
            if inline:
                model.buffers[index].data = np.zeros(1, np.uint8)
            else:
                model.buffers[index].offset = model.buffers[index].size = STAND_IN
        for quantization in weight.row_scales:
            quantization.scale = np.ones(1, np.float32)
            quantization.zeroPoint = np.zeros(1, np.int64)


def _lay_out_scales(stored: list[ConstantTensor], start: int) -> _ScaleLayout:
    quantized = [weight for weight in stored if weight.row_scales]
    zero_points, scales = {}, {}
    position = start
    for length in sorted({weight.scales for weight in quantized}):
        # The int64 elements behind the length word lie at a multiple of 8.
        position += (LENGTH_BYTES - position) % 8
        zero_points[length] = position
        position += LENGTH_BYTES + 8 * length
    for weight in sorted(quantized, key=lambda weight: weight.buffer):
        position += -position % 4
        scales[weight.buffer] = position
        position += LENGTH_BYTES + 4 * weight.scales
    return _ScaleLayout(zero_points, scales, position)


def _write_weight(
    stream: BinaryIO, weight: ConstantTensor, source: DerivedWeights, extents: dict[int, _Extent], inline: bool
) -> NDArray[Any] | None:
    """Append one weight, and its scales when these are a tensor; the scales."""
    start = _begin(stream, FORMATS[weight.weight_format].stored_bytes(weight.shape), inline)
    parts = []
    # One scale for all of it must be known before the first row is written.
    largest = None
    if FORMATS[weight.weight_format].granularity is Granularity.TENSOR:
        largest = float(np.max([largest_magnitude(rows) for rows in _chunks(weight, source)]))
    done = 0
    for rows in _chunks(weight, source):
        chosen = None if weight.chosen_scales is None else weight.chosen_scales[done : done + len(rows)]
        done += len(rows)
        chunk = store_rows(rows, weight.weight_format, weight.weight.name, largest, chosen)
        stream.write(chunk.data.data)
        if chunk.scales is not None:
            parts.append(chunk.scales)
    extents[weight.buffer] = _Extent(start, stream.tell() - start)
    scales = np.concatenate(parts)[: weight.scales] if parts else None
    if weight.scale_buffer is not None and scales is not None:
        start = _begin(stream, scales.nbytes, inline)
        stream.write(np.ascontiguousarray(scales).data)
        extents[weight.scale_buffer] = _Extent(start, scales.nbytes)
    return scales


def _chunks(weight: ConstantTensor, source: DerivedWeights) -> Iterator[Float32]:
    height = chunk_rows(weight.shape)
    for first in range(0, weight.shape[0], height):
        yield source.rows(weight.weight, first, min(first + height, weight.shape[0]))


def _begin(stream: BinaryIO, size: int, inline: bool) -> int:
    """Go to the next aligned place, write the length word of a vector; where the data starts."""
    prefix = LENGTH_BYTES if inline else 0
    stream.write(b"\0" * (-(stream.tell() + prefix) % ALIGNMENT))
    if inline:
        stream.write(size.to_bytes(LENGTH_BYTES, "little"))
    return stream.tell()


def _write_vector(stream: BinaryIO, position: int, values: NDArray[Any]) -> None:
    """Write a vector into the room kept for it, and go back to the end."""
    end = stream.tell()
    stream.seek(position)
    stream.write(len(values).to_bytes(LENGTH_BYTES, "little") + values.tobytes())
    stream.seek(end)


def _point_buffers(head: bytearray, extents: dict[int, _Extent], inline: bool) -> None:
    root = schema.Model.GetRootAs(head, 0)
    for index, extent in extents.items():
        table = root.Buffers(index)._tab
        if inline:
            _set_vector(head, table, BUFFER_DATA, extent.start - LENGTH_BYTES)
        else:
            for slot, value in ((BUFFER_OFFSET, extent.start), (BUFFER_SIZE, extent.size)):
                place = table.Pos + table.Offset(slot)
                head[place : place + 8] = value.to_bytes(8, "little")


def _point_scales(head: bytearray, model: Model, stored: list[ConstantTensor], layout: _ScaleLayout) -> None:
    root = schema.Model.GetRootAs(head, 0)
    owner = {id(quantization): weight for weight in stored for quantization in weight.row_scales}
    for graph_index, graph in enumerate(model.subgraphs):
        for tensor_index, tensor in enumerate(graph.tensors):
            weight = owner.get(id(tensor.quantization))
            if weight is None:
                continue
            table = root.Subgraphs(graph_index).Tensors(tensor_index).Quantization()._tab
            _set_vector(head, table, QUANTIZATION_SCALE, layout.scales[weight.buffer])
            _set_vector(head, table, QUANTIZATION_ZERO_POINT, layout.zero_points[weight.scales])


def _set_vector(head: bytearray, table: Any, field: int, position: int) -> None:
    """Let a table's vector field point to an absolute position, which must lie behind it."""
    place = table.Pos + table.Offset(field)
    head[place : place + 4] = (position - place).to_bytes(4, "little")
