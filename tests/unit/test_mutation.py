"""The script that tries how much the unit tests notice changes code as it says, one place at a time."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from farm import locations

CODE = """
def f(a, b):
    text = "x" + f"{a}"
    return [a < b and a != 3, not a, True, a + 2.5]
"""


@pytest.fixture(scope="module")
def mutation() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("mutation", str(locations.ROOT / "scripts" / "mutation"))
    spec = importlib.util.spec_from_loader("mutation", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks for the module that it is of.
    sys.modules["mutation"] = module
    loader.exec_module(module)
    return module


def test_each_place_is_changed_alone(mutation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(CODE)
    found = mutation.mutants(tmp_path / "a.py")
    plain = ast.unparse(ast.parse(CODE))
    changed = [ast.unparse(mutation._Places(each.number).visit(ast.parse(CODE))) for each in found]
    assert len(set(changed)) == len(found) == 8
    assert plain not in changed
    for part in ("a <= b", "a == 3", "or a", "a != 4", "b and a != 3, a,", "not a, False", "a - 2.5", "a + 3.5"):
        assert sum(part in each for each in changed) == 1, part
    assert all('"x" + f' in each or "'x' + f" in each for each in changed), "texts are left alone"


def test_the_tests_of_a_module_are_those_that_import_it(mutation: ModuleType) -> None:
    found = {path.name for path in mutation.tests_of(Path("farm/modelref.py"))}
    assert "test_modelref.py" in found
    assert "test_sources.py" in found
    assert "test_units.py" not in found
