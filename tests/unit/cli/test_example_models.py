"""Which references mean an example that is made on first use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import example_models
from cli.terminal import open_terminal
from farm import locations
from farm.errors import HubUnreachable
from pipeline import process


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one example that has a script, and one that is complete."""
    for name in ("made", "given"):
        (tmp_path / "examples" / name).mkdir(parents=True)
    (tmp_path / "examples" / "made" / "__main__.py").write_text("")
    (tmp_path / "examples" / "given" / "config.json").write_text("{}")
    monkeypatch.setattr(locations, "ROOT", tmp_path)
    monkeypatch.setattr(locations, "EXAMPLES", tmp_path / "examples")
    return tmp_path / "examples"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that were run."""
    modules: list[str] = []
    monkeypatch.setattr(process, "run", lambda argv, **_: modules.append(argv[2]))
    return modules


def test_the_script_of_a_missing_model_is_run(examples: Path, started: list[str]) -> None:
    example_models.make_if_missing("examples/made", open_terminal())
    example_models.make_if_missing(str(examples / "made"), open_terminal())
    assert started == ["examples.made"] * 2


def test_nothing_is_run_for_other_references(examples: Path, started: list[str], tmp_path: Path) -> None:
    (examples / "made" / "config.json").write_text("{}")
    others = ("examples/made", "examples/given", "gpt2_base_en", "hf://examples/made", str(tmp_path), "examples/none")
    for reference in others:
        example_models.make_if_missing(reference, open_terminal())
    assert started == []


@pytest.mark.programs
def test_a_script_that_fails_says_why(examples: Path) -> None:
    (examples / "__init__.py").write_text("")
    (examples / "made" / "__main__.py").write_text("raise SystemExit('pip cannot fetch the wheels.')")
    with pytest.raises(HubUnreachable, match="pip cannot fetch the wheels"):
        example_models.make_if_missing("examples/made", open_terminal())
