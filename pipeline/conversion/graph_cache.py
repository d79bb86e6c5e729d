"""Converted graphs, kept by what decides them: a second model of an architecture needs no conversion."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from farm import caches as cache_files
from farm import digests
from farm.stages import GRAPHS
from pipeline.conversion.description import DecoderDescription

CACHE = GRAPHS.name
# The modules of this package alone are looked at.
DATA_FILES: tuple[str, ...] = ()
# The sources that decide a graph beside its description.
SOURCES = ("decoder.py", "description.py", "graph.py", "hadamard.py", "rotary.py")


@dataclass(frozen=True)
class CachedGraph:
    """A weightless graph as a file; `cached`: it was already there."""

    path: Path
    cached: bool


def graph_key(description: DecoderDescription) -> str:
    """SHA-256 over the description, TensorFlow's version and the builder's own sources."""
    return digests.of_json(
        {
            "description": json.loads(description.canonical_json()),
            "tensorflow": metadata.version("tensorflow"),
            "sources": digests.of_sources(Path(__file__).parent, SOURCES),
        }
    )


def io_mode_key(tokens_key: str, settings: Mapping[str, Any], sources: Sequence[str]) -> str:
    """The key of an I/O mode's graph: that of the I/O mode `tokens`'s, its own settings, and its sources as patterns
    below `pipeline`."""
    own = digests.of_sources(Path(__file__).parents[1], sources)
    return digests.of_json({"tokens": tokens_key, "settings": dict(settings), "sources": own})


def find_graph(key: str, caches: Path, adopt: Path, convert: Callable[[], bytes]) -> CachedGraph:
    """The graph of that key from `caches`, or a newly converted one in `adopt`, from where it gets into the cache."""
    name = f"{key}.tflite"
    kept = cache_files.find(caches, CACHE, name)
    if kept is not None:
        return CachedGraph(kept, cached=True)
    made = adopt / name
    made.write_bytes(convert())
    return CachedGraph(made, cached=False)
