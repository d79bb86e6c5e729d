"""The `tokens` mode: tokens in, logits out, in LiteRT-LM's contract; the program around it has tokenizer and loop."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.conversion import graph, graph_cache
from pipeline.conversion.description import DecoderDescription


def key(description: DecoderDescription, context: int, prefill_lengths: Sequence[int]) -> str:
    """What decides the graph."""
    return graph_cache.graph_key(description, context, prefill_lengths)


def convert(description: DecoderDescription, context: int, prefill_lengths: Sequence[int]) -> bytes:
    """The weightless graph as a `.tflite` file's content."""
    return graph.convert(description, context, prefill_lengths)
