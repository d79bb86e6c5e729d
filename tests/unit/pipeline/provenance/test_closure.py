"""The closure over a small repository's imports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from farm.errors import SettingsInvalid
from pipeline.provenance.closure import Closure, Repository

FILES = {
    "farm/__init__.py": "",
    "farm/names.py": "import enum",
    "farm/unused.py": "import sqlite3",
    "pipe/__init__.py": "from pipe import always",
    "pipe/always.py": "",
    "pipe/deep/__init__.py": "",
    "pipe/deep/one.py": "from farm import names\nfrom pipe.deep.two import value\nfrom .data import table",
    "pipe/deep/two.py": "def value():\n    from pipe.late import late\n    return late",
    "pipe/deep/data.py": "DATA_FILES = ('tables/**/*.toml', 'pipe/deep/program.py')\ntable = __file__",
    "pipe/deep/program.py": "import numpy",
    "pipe/late.py": "import keras.ops",
    "pipe/other.py": "import torch",
    "tables/one.toml": "",
    "tables/deeper/two.toml": "",
    "tables/three.json": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def closure(root: Path) -> Closure:
    return Repository(root).closure("pipe.deep.one")


def test_all_that_may_be_imported_and_nothing_else(root: Path) -> None:
    found = closure(root)
    outside = {"farm/unused.py", "pipe/other.py"}
    assert found.sources == {name for name in FILES if name.endswith(".py")} - outside
    assert found.data == {"tables/one.toml", "tables/deeper/two.toml"}
    assert found.imports == {"enum", "keras", "numpy"}


def test_a_name_that_becomes_a_module_counts(root: Path) -> None:
    (root / "pipe/deep/two").mkdir()
    (root / "pipe/deep/two/__init__.py").write_text("import scipy")
    assert "scipy" in closure(root).imports


def test_packages_beside_an_installed_farm_are_not_its_own(root: Path) -> None:
    (root / "keras").mkdir()
    (root / "keras/__init__.py").write_text("import importlib\nimportlib.import_module(name)")
    found = Repository(root, frozenset({"farm", "pipe"})).closure("pipe.deep.one")
    assert found == closure_without(root, "keras")


def closure_without(root: Path, package: str) -> Closure:
    shutil.rmtree(root / package)
    return closure(root)


def test_declared_data_must_be_there(root: Path) -> None:
    (root / "pipe/deep/data.py").write_text("DATA_FILES = ('tables/*.csv',)")
    with pytest.raises(SettingsInvalid, match="matches no file"):
        closure(root)


def test_a_missing_module_is_told(root: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"pipe\.absent"):
        Repository(root).closure("pipe.absent")
