"""The static form of a graph: the dynamic graph with its lengths fixed, for runtimes and delegates that resize nothing.

Signatures `prefill_<n>`, `decode` and `score_<n>`, see pipeline/inference/contract. Each computes its masks from the
positions, and every layer's cache holds the whole context.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.conversion import graph
from pipeline.conversion.binding.dead_tensors import share_equal_buffers
from pipeline.conversion.binding.flatbuffer import Builtin, Model, pack_model, schema
from pipeline.conversion.decoder import UNSEEN
from pipeline.conversion.derived_signatures import DerivedSignature, replace_signatures
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.lengths import Dimension, Shape, infer_shapes

READ, WANTED, CACHED = "read", "wanted", "cached"


def fix_lengths(content: bytes, description: DecoderDescription, context: int, prefill: Sequence[int]) -> bytes:
    """The static form of a dynamic weightless graph, as a `.tflite` file's content."""
    model: Model = schema.ModelT.InitFromPackedBuf(content, 0)
    shapes = infer_shapes(model, input_shapes(description), READ)
    derived = [_fixed(model, description, shapes, context, length, logits=False) for length in prefill]
    scored = min(graph.VERIFY_TOKENS, context)
    derived.append(_fixed(model, description, shapes, context, scored, logits=True, name=graph.score_name(scored)))
    derived.append(_fixed(model, description, shapes, context, 1, logits=True, name=graph.DECODE))
    replace_signatures(model, derived)
    share_equal_buffers(model)
    return bytes(pack_model(model))


def input_shapes(description: DecoderDescription) -> dict[str, Shape]:
    """The dynamic graph's inputs but the weights."""
    one, read, heads = Dimension(1), Dimension(1, READ), Dimension(description.key_value_heads)
    shapes: dict[str, Shape] = {"tokens": (one, read), "input_pos": (read,), "rows": (Dimension(1, WANTED),)}
    cached = {window: Dimension(1, cached_length(window)) for window in graph.ring_windows(description)}
    for window, rows in cached.items():
        shapes[graph.mask_name(window)] = (one, one, read, rows)
    for name, window in graph.windows_by_cache(description).items():
        shapes[name] = (one, heads, cached[window], Dimension(description.head_size))
    return shapes


def cached_length(window: int | None) -> str:
    """The name of the length of the caches of an attention window."""
    return CACHED if window is None else f"{CACHED}_{window}"


def _fixed(
    model: Model, description: DecoderDescription, shapes: Sequence[Shape], context: int, length: int, *,
    logits: bool, name: str | None = None,
) -> DerivedSignature:  # fmt: skip
    """One signature over `length` tokens."""
    windows = graph.ring_windows(description)
    made = DerivedSignature(model, model.signatureDefs[0], model.subgraphs[0], name or graph.prefill_name(length))
    lengths = {READ: length, WANTED: length} | {cached_length(window): context for window in windows}
    for tensor, shape in zip(made.graph.tensors, shapes, strict=True):
        tensor.shape, tensor.shapeSignature = np.array([size.at(lengths) for size in shape], np.int32), None
    made.rename({new: old for old, new in graph.dynamic_cache_names(description).items()})
    # Every token's logits are wanted, or none's.
    rows = made.take_input("rows")
    gather = made.maker_of_reader(rows, Builtin.GATHER)
    hidden = int(gather.inputs[0])
    made.read_instead(int(gather.outputs[0]), hidden)
    if not logits:
        # A norm that the last residual reads too can't be folded, and must not be in one signature alone.
        shared = description.norm_after_residual or description.residual_from_norm
        made.drop_output(graph.LOGITS, keep=[hidden] if shared else [])
    positions = made.input("input_pos")
    for window in windows:
        _compute_mask(made, positions, window, length, context)
        if window is not None:
            begin, size = (made.constant(f"slice_{value}", np.array([value], np.int32)) for value in (0, 1))
            start = made.take_input(graph.start_name(window))
            made.compute(Builtin.SLICE, [positions, begin, size], (1,), "int32", schema.SliceOptionsT(), output=start)
    return made


def _compute_mask(made: DerivedSignature, positions: int, window: int | None, length: int, context: int) -> None:
    """0 for positions that are seen, UNSEEN for the others."""
    mask, full = made.take_input(graph.mask_name(window)), (1, 1, length, context)
    column = made.constant("column", np.array([1, 1, length, 1], np.int32))
    keys = made.constant("keys", np.arange(context, dtype=np.int32).reshape(1, 1, 1, context))
    queries = made.compute(Builtin.RESHAPE, [positions, column], (1, 1, length, 1), "int32", schema.ReshapeOptionsT())
    behind = made.compute(Builtin.SUB, [queries, keys], full, "int32", schema.SubOptionsT())
    zero = made.constant("zero", np.array(0, np.int32))
    seen = made.compute(Builtin.GREATER_EQUAL, [behind, zero], full, "bool", schema.GreaterEqualOptionsT())
    if window is not None and window < context:
        width = made.constant("window", np.array(window, np.int32))
        near = made.compute(Builtin.LESS, [behind, width], full, "bool", schema.LessOptionsT())
        seen = made.compute(Builtin.LOGICAL_AND, [seen, near], full, "bool", schema.LogicalAndOptionsT())
    shown, unseen = (made.constant("shown", np.array(value, np.float32)) for value in (0.0, UNSEEN))
    inputs = [seen, shown, unseen]
    made.compute(Builtin.SELECT_V2, inputs, full, "float32", schema.SelectV2OptionsT(), output=mask)
