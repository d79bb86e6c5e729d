from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app
from farm import errors
from farm.states import JobState


def complete(line: str, memory_farm) -> list[str]:
    """What bash would be offered after that line."""
    words = line.split(" ")
    environment = {"_FARM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result = CliRunner().invoke(app, [], prog_name="farm", env=environment, obj=lambda: memory_farm)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


def test_commands_and_options(memory_farm) -> None:
    assert complete("farm re", memory_farm) == ["retry", "recipes"]
    assert complete("farm submit --qu", memory_farm) == ["--quant"]


def test_recipes_artifacts_and_abis(memory_farm) -> None:
    assert complete("farm submit --quant i", memory_farm) == [
        "int8", "int8-plain", "int4", "int4-small", "int4-plain",
    ]  # fmt: skip
    assert complete("farm download --only a", memory_farm) == ["app.apk", "app.aab", "android-project.zip"]
    assert complete("farm submit --abi x", memory_farm) == ["x86_64"]


def test_job_ids(memory_farm) -> None:
    first, second = memory_farm.add(JobState.SUCCEEDED), memory_farm.add(JobState.QUEUED)
    assert sorted(complete("farm status k", memory_farm)) == sorted([first.id, second.id])
    assert complete(f"farm logs {first.id[:3]}", memory_farm) == [first.id]
    assert complete("farm submit --clone kb", memory_farm) == [second.id]


def test_a_farm_that_cannot_be_asked_completes_nothing(memory_farm, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_named: object) -> None:
        raise errors.DatabaseUnusable("The database cannot be opened; free some room.")

    monkeypatch.setattr(memory_farm, "jobs", refuse)
    assert complete("farm status k", memory_farm) == []
