"""The programs of the Android half and the packages that bring them."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm import locations
from farm.errors import ToolMissing
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool


def _listed_packages() -> set[str]:
    lines = (locations.ROOT / "scripts" / "debian-packages.txt").read_text().splitlines()
    return {line.split("#")[0].strip() for line in lines} - {""}


def test_every_tool_has_an_origin_that_set_up_installs() -> None:
    assert set(tools.ORIGINS) == set(Tool)
    assert {origin.package for origin in tools.ORIGINS.values()} <= _listed_packages()


@pytest.mark.parametrize("tool", Tool)
def test_a_missing_program_names_its_package(tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing) as missing:
        tools.find(tool)
    assert f"apt-get install {tools.ORIGINS[tool].package}`" in missing.value.sentence


def test_a_program_is_found_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "aapt2"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.find(Tool.AAPT2) == program
