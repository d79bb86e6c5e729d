"""What is read of a module's source, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import SettingsInvalid
from pipeline.provenance import modules
from pipeline.provenance.modules import ModuleSource


def read(tmp_path: Path, text: str, name: str = "pkg.part.here") -> ModuleSource:
    path = tmp_path / ("__init__.py" if name == "pkg.part" else "here.py")
    path.write_text(text)
    return modules.read(path, name, "pkg/part/here.py")


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from a.b import c, d as e", {"a.b.c", "a.b.d"}),
        ("from a import *", {"a"}),
        ("from . import one", {"pkg.part.one"}),
        ("from .one import two", {"pkg.part.one.two"}),
        ("from ..other import two", {"pkg.other.two"}),
        ("def late():\n    from a import b", {"a.b"}),
        ("if late:\n    import a", {"a"}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}),
        ("import_module('a.b')", {"a.b"}),
        ("x = importlib.import_module('a')", {"a"}),
        ("__import__('a')", {"a"}),
        ("DYNAMIC_IMPORTS = ('a.b',)\nimport_module(name)", {"a.b"}),
    ],
)
def test_imports_of_every_form(tmp_path: Path, text: str, imports: set[str]) -> None:
    assert read(tmp_path, text).imports == imports


def test_relative_imports_of_a_package_begin_with_itself(tmp_path: Path) -> None:
    assert read(tmp_path, "from . import one", "pkg.part").imports == {"pkg.part.one"}


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("x = chain.paths(Role.LIBRARY)", {"LIBRARY"}),
        ("x = pins.Role.HOST_NATIVE", {"HOST_NATIVE"}),
        ("for each in Role: pass", {"*"}),
        ("x = [each for each in Role]", {"*"}),
        ("x = list(Role)", {"*"}),
        ("def f(role: Role) -> Role: return role", set()),
    ],
)
def test_roles(tmp_path: Path, text: str, roles: set[str]) -> None:
    assert read(tmp_path, text).roles == roles


def test_declared_data(tmp_path: Path) -> None:
    text = "DATA_FILES: tuple[str, ...] = ('a/b.toml',)\nTABLE = Path(__file__).with_name('b.toml')"
    assert read(tmp_path, text).data_files == ("a/b.toml",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("TABLE = Path(__file__).with_name('b.toml')", "line 1"),
        ("\ndef f(): return locations.ROOT / 'x'", "line 2"),
        ("x = locations.ANDROID_BUILDER / 'x'", "DATA_FILES"),
        ("from farm.locations import ROOT", "DATA_FILES"),
        ("from importlib import resources", "DATA_FILES"),
        ("import_module(f'a.{name}')", "DYNAMIC_IMPORTS"),
        ("for each in pkgutil.iter_modules(path): pass", "DYNAMIC_IMPORTS"),
        ("DATA_FILES = tuple(sorted(names))", "literal"),
        ("DATA_FILES = ['a']", "literal"),
        ("def (", "no valid Python"),
    ],
)
def test_what_no_declaration_covers_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(tmp_path, text)
    assert "pkg/part/here.py" in refused.value.sentence
    assert told in refused.value.sentence
