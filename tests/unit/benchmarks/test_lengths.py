"""The benchmark of lengths: what it times, and what its page says."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import lengths
from benchmarks.rows import Row
from pipeline.inference.interpreter import open_token_model
from tests.fixtures import dynamic_graphs


def test_a_text_is_read_up_to_what_is_timed(tmp_path: Path) -> None:
    model = open_token_model(dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite"), context=1600)
    assert 0 < lengths.step_seconds(model, [1] * 60, alone=False) < 10
    assert model.position == 60 + lengths.STEPS
    assert 0 < lengths.read_seconds(model, [1] * 300, alone=False) < 10
    assert model.position == 300
    assert (
        0 < lengths.turn_ratio(model, [place % 90 for place in range(lengths.CHAT + lengths.QUESTION)], alone=False) < 1
    )


def test_the_spread_is_of_what_was_measured_side_by_side() -> None:
    assert lengths.spread([3.0, 2.0], [1.0, 2.0]) == "1.00 to 3.00"


def test_memory_is_of_the_process() -> None:
    found = lengths.resident(os.getpid())
    assert found["RssAnon"] > 1e6
    assert found["RssFile"] > 1e6


def test_the_page_has_goals_and_families() -> None:
    rows = [Row("graph of SmolLM2, cold", 5, 6.0, "s"), Row("writing", 1.5, 1.6, "", at_least=True)]
    page = lengths.render(rows, [("gpt2", 2, 1.0, 4.0)], load=0.5)
    assert "| graph of SmolLM2, cold | 5 s | 6 | **missed** |" in page
    assert "| writing | at least 1.5  | 1.6 | reached |" in page
    assert "| gpt2 | 2 | 1.0 s | 4.0 s | 0.25 |" in page
    assert "Load average at the beginning: 0.5." in page
