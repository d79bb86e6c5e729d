from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from farm import caches as cache_files
from farm import digests
from pipeline.conversion import graph_cache
from tests.fixtures.decoders import TINY


def test_the_key_depends_on_all_that_decides_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {graph_cache.graph_key(TINY), graph_cache.graph_key(replace(TINY, final_logit_cap=3.0))}
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "0.0")
    keys.add(graph_cache.graph_key(TINY))
    monkeypatch.undo()
    monkeypatch.setattr(graph_cache, "SOURCES", ("decoder.py",))
    keys.add(graph_cache.graph_key(TINY))
    assert len(keys) == 4


def test_the_key_is_stable() -> None:
    assert graph_cache.graph_key(TINY) == graph_cache.graph_key(replace(TINY))


def test_every_source_of_the_graph_exists() -> None:
    folder = Path(graph_cache.__file__).parent
    assert all((folder / name).is_file() for name in graph_cache.SOURCES)


def test_a_graph_is_converted_once(tmp_path: Path) -> None:
    adopt, caches = tmp_path / "adopt", tmp_path / "caches"
    adopt.mkdir()
    first = graph_cache.find_graph("key", caches, adopt, lambda: b"graph")
    assert not first.cached
    assert first.path == adopt / "key.tflite"
    assert first.path.read_bytes() == b"graph"

    (caches / graph_cache.CACHE).mkdir(parents=True)
    kept = caches / graph_cache.CACHE / first.path.name
    first.path.rename(kept)
    cache_files.record(kept, digests.of_bytes(b"graph"))
    second = graph_cache.find_graph("key", caches, adopt, lambda: pytest.fail("converted again"))
    assert second.cached
    assert second.path.read_bytes() == b"graph"


def test_half_a_graph_is_converted_again(tmp_path: Path) -> None:
    """Whoever is killed as the file gets into the cache has written its digest before."""
    adopt, caches = tmp_path / "adopt", tmp_path / "caches"
    for folder in (adopt, caches / graph_cache.CACHE):
        folder.mkdir(parents=True)
    kept = caches / graph_cache.CACHE / "key.tflite"
    cache_files.record(kept, digests.of_bytes(b"graph"))
    assert not graph_cache.find_graph("key", caches, adopt, lambda: b"graph").cached
    kept.write_bytes(b"gra")
    assert not graph_cache.find_graph("key", caches, adopt, lambda: b"graph").cached
