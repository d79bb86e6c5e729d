"""The benchmark of quantization: its tables, and what is timed."""

from __future__ import annotations

from pathlib import Path

from benchmarks import quantization, quantization_goals, quantization_speed
from benchmarks.quantization_file import Made
from benchmarks.quantization_goals import Measured
from benchmarks.quantization_speed import Times
from farm.jobspec import DEFAULT_CONTEXT
from pipeline.inference.divergence import Divergence
from tests.fixtures import dynamic_graphs


def measured(mean: float, size: int, step: float, prepare: float | None = 10.0) -> Measured:
    made = None if prepare is None else Made(prepare, 3 * prepare, 2 << 30, 1000, ("a note",))
    return Measured(
        Divergence(100, mean, 0.1, 0.9, 20.2, 20.0, 0.001), size, 1000, made, Times([step, 2 * step], [0.1], [0.3])
    )


def test_goals_compare_recipes_with_each_other_and_with_llama_cpp() -> None:
    found = {
        "int8": measured(0.004, 256, 0.004), "int8-plain": measured(0.04, 255, 0.004, 6.0),
        "int4": measured(0.1, 171, 0.003), "Q8_0": measured(0.005, 260, 0.0052, None),
        "Q4_K_M": measured(0.06, 180, 0.006, None), "Q4_0": measured(0.3, 160, 0.0042, None),
    }  # fmt: skip
    rows = {row.what: row for row in quantization_goals.rows("smollm2", found, (95.0, 100.0))}
    assert rows["int8: divergence"].reached
    assert not rows["int8: perplexity ratio"].reached
    assert not rows["int4: size"].reached
    assert rows["int8: divergence of int8-plain's"].measured == 0.1
    assert rows["int8: divergence of Q8_0's"].measured == 0.8
    assert not rows["int4: divergence of Q4_K_M's"].reached
    assert rows["int4: bytes of Q4_K_M's"].reached
    assert round(rows["int8: writing behind 32 tokens against Q8_0"].measured, 3) == 1.3
    assert round(rows["int4: writing behind 32 tokens against Q4_0"].measured, 3) == 1.4
    assert rows["int8: a step of int8-plain's"].measured == 1
    assert round(rows["int8: time of int8-plain's"].measured, 3) == 1.667
    assert rows["the app's engine on the JVM, of Python's speed"].measured == 0.95
    lines = quantization_goals.measured_table(found)
    assert lines[2].startswith(
        "| `int8` | 0.0040 | 1.0100 +- 0.0010 | 90.0% | 0.0 MB | 0.256 | 10 s | 30 s | 2.0 GiB |"
    )
    assert lines[5].startswith("| llama.cpp Q8_0 | 0.0050 |")
    assert {line.count("|") for line in lines} == {13}


def test_what_was_not_measured_has_no_goal() -> None:
    rows = list(quantization_goals.rows("gemma3_270m", {"int4-small": measured(0.2, 145, 0.004)}, None))
    assert [row.what for row in rows] == [
        "int4-small: divergence", "int4-small: perplexity ratio", "int4-small: size"
    ]  # fmt: skip
    assert rows[0].goal is None


def test_steps_and_readings_are_timed(tmp_path: Path) -> None:
    path = dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite")
    found = quantization_speed.in_turns({"int8": path}, {}, None, [1] * quantization_speed.READ, alone=False)
    assert set(found) == {"int8"}
    times = found["int8"]
    for seconds in (times.step, times.prompt, times.read):
        assert len(seconds) == quantization_speed.TURNS
        assert all(0 < one < 10 for one in seconds)
    assert quantization_speed.READ + quantization_speed.STEPS <= DEFAULT_CONTEXT


def test_the_page_s_part_is_replaced_between_its_marks(tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "page.md"
    begin, end = "<!-- python -m benchmarks.quantization smollm2 --write -->", "<!-- end of smollm2 -->"
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    monkeypatch.setattr(quantization, "PAGE", page)
    quantization._write("smollm2", ["new \\1", "lines"])
    assert page.read_text() == f"before\n{begin}\nnew \\1\nlines\n{end}\nafter\n"
    assert begin in (quantization.spine.ROOT / "docs" / "quantization.md").read_text()
