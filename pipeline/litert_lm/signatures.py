"""The signatures that LiteRT-LM's dynamic executor calls, from the one of a farm model, on the same weights.

`prefill`: `tokens` int32 [1,n], `input_pos` int32 [n], `mask` float32 [1,1,n,T], caches `kv_cache_k_<i>` and
`kv_cache_v_<i>` float32 [1,H,T,D] in and out. `decode`: the same for one token, with `logits` [1,1,V]; of its mask only
T may be dynamic, since LiteRT-LM gives every dynamic dimension the cache's length. It makes one mask for all layers, so
that those with an attention window make theirs of it, and keeps caches in the text's order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from farm.errors import FileUnreadable
from pipeline.conversion.binding.flatbuffer import Builtin, Model, pack_model, shape_of
from pipeline.conversion.derived_signatures import DerivedSignature, replace_signatures
from pipeline.conversion.lengths import Dimension, Shape, infer_shapes
from pipeline.inference.contract import (
    DECODE,
    LOGITS,
    POSITIONS,
    ROWS,
    RUN,
    TOKENS,
    Contract,
    mask_name,
    start_name,
)
from pipeline.inference.growth import UNSEEN

PREFILL = "prefill"
MASK = "mask"
READ, WANTED, CACHED = "read", "wanted", "cached"
ALIGNMENT = 64
# Constants up to this size are packed with the graph; larger ones stay where they lie in the model's own file.
SMALL_BYTES = 4096


def derive(path: Path, contract: Contract, output: Path) -> None:
    """Write a `.tflite` with these signatures: a new graph in front of the whole bytes of the farm's file at `path`."""
    content = np.memmap(path, np.uint8, "r")
    model: Model = schema.ModelT.InitFromPackedBuf(content, 0)
    signature = next((item for item in model.signatureDefs if item.signatureKey == RUN.encode()), None)
    if signature is None or len(model.subgraphs) != 1:
        raise FileUnreadable(f"{path} is not of dynamic lengths; convert the model again without --static-shapes.")
    shapes = infer_shapes(model, _inputs(contract), READ, path)
    places = _places(content)
    derived = [_derived(model, contract, shapes, PREFILL), _derived(model, contract, shapes, DECODE)]
    replace_signatures(model, derived)
    for buffer, (start, size) in zip(model.buffers, places, strict=False):
        if size > SMALL_BYTES:
            buffer.data, buffer.offset, buffer.size = None, ALIGNMENT + start, size
    base = -(-len(pack_model(model)) // ALIGNMENT) * ALIGNMENT
    for buffer, (start, size) in zip(model.buffers, places, strict=False):
        if size > SMALL_BYTES:
            buffer.offset = base + start
    head = pack_model(model)
    with output.open("wb") as stream, path.open("rb") as source:
        stream.write(head)
        stream.seek(base)
        while part := source.read(1 << 22):
            stream.write(part)


def _places(content: np.ndarray) -> list[tuple[int, int]]:  # type: ignore[type-arg]
    """Where each buffer's bytes lie in the file, and how many they are."""
    root = schema.Model.GetRootAs(content, 0)
    places = []
    for index in range(root.BuffersLength()):
        buffer = root.Buffers(index)
        if buffer.Offset() > 1:
            places.append((int(buffer.Offset()), int(buffer.Size())))
        else:
            length = int(buffer.DataLength())
            places.append((int(buffer._tab.Vector(buffer._tab.Offset(4))) if length else 0, length))
    return places


def _inputs(contract: Contract) -> dict[str, Shape]:
    one, read, rows = Dimension(1), Dimension(1, READ), Dimension(1, CACHED)
    cache = (one, Dimension(contract.kv_heads), rows, Dimension(contract.head_dim))
    shapes: dict[str, Shape] = {TOKENS: (one, read), POSITIONS: (read,), ROWS: (Dimension(1, WANTED),)}
    shapes |= {mask_name(window): (one, one, read, rows) for window in contract.windows or ()}
    return shapes | dict.fromkeys(contract.caches, cache)


def _derived(model: Model, contract: Contract, shapes: list[Shape], name: str) -> DerivedSignature:
    made = DerivedSignature(model, model.signatureDefs[0], model.subgraphs[0], name)
    fixed = {READ: 1, WANTED: 1} if name == DECODE else {}
    lengths = {READ: 1, WANTED: 1, CACHED: 1}
    for tensor, shape in zip(made.graph.tensors, shapes, strict=True):
        free = [size.length is not None and size.length not in fixed for size in shape]
        sizes = [1 if open_ else size.at(lengths) for open_, size in zip(free, shape, strict=True)]
        tensor.shape = np.array(sizes, np.int32)
        declared = [-1 if open_ else size for open_, size in zip(free, sizes, strict=True)]
        tensor.shapeSignature = np.array(declared, np.int32) if any(free) else None
    layers = [f"kv_cache_{kind}_{layer}" for layer in range(contract.layers) for kind in "kv"]
    made.rename(dict(zip(contract.caches, layers, strict=True)))
    rows = made.take_input(ROWS)
    gather = made.maker_of_reader(rows, Builtin.GATHER)
    made.read_instead(int(gather.outputs[0]), int(gather.inputs[0]))
    if name == PREFILL:
        made.drop_output(LOGITS)
    windows = sorted({window for window in contract.windows or () if window is not None})
    if windows:
        _mask_windows(made, windows)
    return made


def _mask_windows(made: DerivedSignature, windows: list[int]) -> None:
    """Let the one mask of the caller become each window's, and each window's caches be written from the position on."""
    names = [item.name.decode() for item in made.signature.inputs]
    positions = made.input(POSITIONS)
    if MASK in names:
        mask = made.input(MASK)
    else:
        mask = made.input(mask_name(windows[0]))
        made.rename({mask_name(windows[0]): MASK})
    full, column = shape_of(made.graph, mask), made.constant("column", np.array([1, 1, -1, 1], np.int32))
    one = made.constant("one", np.array(1.0, np.float32))
    shown = made.compute(Builtin.LESS, [mask, one], full, "bool", schema.LessOptionsT())
    counted = made.compute(Builtin.CAST, [shown], full, "float32", schema.CastOptionsT())
    axis, options = made.constant("axis", np.array(3, np.int32)), schema.CumsumOptionsT()
    options.exclusive = True
    keys = made.compute(Builtin.CUMSUM, [counted, axis], full, "float32", options)
    line = made.compute(Builtin.CAST, [positions], shape_of(made.graph, positions), "float32", schema.CastOptionsT())
    queries = made.compute(Builtin.RESHAPE, [line, column], (1, 1, full[2], 1), "float32", schema.ReshapeOptionsT())
    behind = made.compute(Builtin.SUB, [queries, keys], full, "float32", schema.SubOptionsT())
    unseen = made.constant("unseen", np.array(UNSEEN, np.float32))
    begin, size = (made.constant(f"slice_{value}", np.array([value], np.int32)) for value in (0, 1))
    for window in windows:
        start = made.take_input(start_name(window))
        made.compute(Builtin.SLICE, [positions, begin, size], (1,), "int32", schema.SliceOptionsT(), output=start)
        width = made.constant("window", np.array(window, np.float32))
        near = made.compute(Builtin.LESS, [behind, width], full, "bool", schema.LessOptionsT())
        inputs, own = [near, mask, unseen], None
        if mask_name(window) in [item.name.decode() for item in made.signature.inputs]:
            own = made.take_input(mask_name(window))
        if own is None:
            # The caller's mask itself was this window's.
            narrowed = made.compute(Builtin.SELECT_V2, inputs, full, "float32", schema.SelectV2OptionsT())
            for operator in made.graph.operators:
                operator.inputs = [narrowed if tensor == mask else int(tensor) for tensor in operator.inputs]
        else:
            made.compute(Builtin.SELECT_V2, inputs, full, "float32", schema.SelectV2OptionsT(), output=own)
