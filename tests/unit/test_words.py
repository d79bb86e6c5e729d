"""Old terms and translated phrases are found in prose, and only there."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from farm import locations


@pytest.fixture(scope="module")
def words() -> ModuleType:
    path = locations.ROOT / "scripts" / "words"
    loader = importlib.machinery.SourceFileLoader("words", str(path))
    spec = importlib.util.spec_from_loader("words", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", '"""Nothing hangs on it."""\n', ["1: 'hangs on'; write: depend on"]),
        ("a.py", 'x = 1  # made anew\n\n\nraise E(f"mend the {link}.")\n', ["1: 'anew'", "4: 'mend'"]),
        ("a.py", '"""Sees to it\n\nthat all is mended."""\n', ["1: 'Sees to it'", "3: 'mended'"]),
        ("a.py", "amend = recommended(lanes)\n", ["1: 'lanes'"]),
        ("a.py", "# The tests lie in a folder.\n", []),
        ("a.md", "The tests lie in a folder.\n", ["1: 'tests lie'"]),
        (
            "a.md",
            "Each is held against Keras, and it holds a model against its limits.\n",
            ["holds a model", "held against"],
        ),
        ("a.kt", "val twin = 1\n/** A twin. */\n", ["2: 'twin'"]),
        ("run", "#!/bin/sh\ntwin\n# a twin\n", ["3: 'twin'"]),
    ],
)
def test_what_is_found(words: ModuleType, tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    path = tmp_path / name
    path.write_text(text)
    lines = words.findings(path, words.read_rules("everywhere"), words.read_rules("documentation"))
    assert len(lines) == len(found)
    for line, part in zip(lines, found, strict=True):
        assert part in line


@pytest.mark.programs
def test_the_repositorys_own_prose_is_looked_at(words: ModuleType) -> None:
    names = {path.relative_to(locations.ROOT).as_posix() for path in words.listed_files()}
    assert {"README.md", "cli/main.py", "scripts/bootstrap", "docs/how-to/extend.md"} <= names
    assert any(name.endswith(".kt") for name in names)
    assert "CHANGELOG.md" not in names
