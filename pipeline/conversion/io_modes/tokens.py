"""The `tokens` mode: tokens in, logits out; the program around the graph has tokenizer, loop and caches."""

from __future__ import annotations

from pipeline.conversion import graph, graph_cache
from pipeline.conversion.description import DecoderDescription


def key(description: DecoderDescription) -> str:
    """What decides the graph."""
    return graph_cache.graph_key(description)


def convert(description: DecoderDescription) -> bytes:
    """The weightless graph as a `.tflite` file's content."""
    return graph.convert(description)
