"""Deliberate faults in a small trained model are refused, and the sound model is not: the fast form of
`python -m benchmarks.quality_faults`, which puts them to real models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.model_faults import FileFault, ModelFault, file_faults, model_faults
from benchmarks.quality_faults import (
    BEGIN,
    END,
    IN_FLOAT32,
    SOUND,
    Bench,
    Model,
    Outcome,
    table,
    unexpected,
    with_tables,
)
from farm import locations
from tests import processors

# Keras says so of every CausalLM that is loaded from a preset; its variables are there all the same.
pytestmark = pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
MODEL = Model("tiny_instruct", "the small example", context=64)
# The example has learned positions.
ALL: list[Any] = [*model_faults(MODEL.context), *file_faults()]
FAULTS = [fault for fault in ALL if fault.what != "rotary off by one"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(
        MODEL, locations.EXAMPLES / MODEL.name, tmp_path_factory.mktemp("faults"), threads=processors.threads()
    )


def test_the_sound_model_passes(bench: Bench) -> None:
    outcome = bench.judge("int8", None)
    assert (outcome.by_comparison, outcome.by_verification) == (None, None)
    assert outcome.cell().startswith("passes: 0.0")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_every_fault_is_refused(bench: Bench, fault: ModelFault | FileFault) -> None:
    outcome = bench.judge("int8", fault)
    assert outcome.refused
    if isinstance(fault, ModelFault):
        assert outcome.by_comparison is not None
        assert "The decoder and Keras disagree" in outcome.by_comparison
    else:
        assert "refused: " in outcome.cell()


def test_the_comparison_in_float32_alone(bench: Bench) -> None:
    faulty, sound = bench.judge(IN_FLOAT32, FAULTS[0]), bench.judge(IN_FLOAT32, None)
    assert "The decoder and Keras disagree" in (faulty.by_comparison or "")
    assert (sound.by_comparison, sound.by_verification, sound.figures) == (None, None, {})
    seen: dict[str, Any] = {"by_comparison": faulty.by_comparison, "by_verification": None, "figures": {}}
    known: dict[str, dict[str, Any]] = {f"tiny_instruct|{FAULTS[0].what}|{IN_FLOAT32}": seen}
    assert table(MODEL, [IN_FLOAT32, "int8"], known)[-1] == f"| {FAULTS[0].what} | refused | \u2013 |"


def test_a_fault_that_passes_and_a_sound_model_that_does_not_are_named(tmp_path: Path) -> None:
    passed: Any = {
        "by_comparison": None,
        "by_verification": None,
        "figures": {"divergence": 0.01, "top1_agreement": 0.9},
    }
    refused: Any = {
        "by_comparison": "The decoder and Keras disagree", "figures": {},
        "by_verification": "The model made with int8 is too far from Keras: divergence from Keras 0.5 (at most 0.08);"
        " top-1 agreement 0.3 (at least 0.85).",
    }  # fmt: skip
    known = {
        f"tiny_instruct|{SOUND}|int8": passed, "tiny_instruct|wrong epsilon|int8": refused,
        f"tiny_instruct|{SOUND}|none": refused, "tiny_instruct|wrong epsilon|none": passed,
    }  # fmt: skip
    assert unexpected(known) == [
        f"tiny_instruct, {SOUND}, none: refused",
        "tiny_instruct, wrong epsilon, none: accepted",
    ]
    assert table(MODEL, ["int8"], known) == [
        "| the small example | in float32 | `int8` |",
        "|---|---|---|",
        f"| {SOUND} | passes | passes: 0.01 nats, 90.0 % |",
        "| wrong epsilon | refused | refused: divergence from Keras 0.5 and 1 more |",
    ]
    assert Outcome(**passed).refused is False


def test_a_model_that_was_not_run_keeps_its_table() -> None:
    page = f"Above\n\n{BEGIN}\n\n| Gemma 3 270M | `int8` |\n|---|\n| old |\n\n{END}\nBelow\n"
    smollm2 = "| SmolLM2-135M-Instruct | `int8` |\n|---|\n| new |"
    both = with_tables(page, {"SmolLM2-135M-Instruct": smollm2})
    assert both == page.replace(f"{BEGIN}\n\n", f"{BEGIN}\n\n{smollm2}\n\n")
    newer = "| Gemma 3 270M | `int8` |\n|---|\n| newer |"
    assert with_tables(both, {"Gemma 3 270M": newer}) == both.replace("| old |", "| newer |")
