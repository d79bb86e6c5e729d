"""The script that tries how much the unit tests notice changes code as it says, one place at a time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import run, trying
from tests.mutation.places import Place, changed, places
from tests.mutation.run import KnownTest

CODE = """
def f(a, b):
    text = "x" + f"{a}"
    return [a < b and a != 3, not a, True, a + 2.5]
"""
SCOPES = """
class A:
    limit = 1
    def method(self, size=2):
        return [lambda: size + 3 for _ in ()]
    def outer(self):
        def inner():
            return 4
        return inner
"""


def test_each_place_is_changed_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE)
    found = places(tmp_path, "a.py")
    plain = ast.unparse(ast.parse(CODE))
    variants = [changed(CODE, each.number) for each in found]
    assert len(set(variants)) == len(found) == 8
    assert plain not in variants
    for part in ("a <= b", "a == 3", "or a", "a != 4", "b and a != 3, a,", "not a, False", "a - 2.5", "a + 3.5"):
        assert sum(part in each for each in variants) == 1, part
    assert all('"x" + f' in each or "'x' + f" in each for each in variants), "texts are left alone"


def test_a_place_knows_the_function_around_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SCOPES)
    found = {each.text: each.function for each in places(tmp_path, "a.py")}
    assert found["1"] is None
    assert found["2"] is None, "a default is computed where the function is made"
    assert found["3"] == found["Add"] == "A.method"
    assert found["4"] == "A.outer.<locals>.inner"


def test_a_place_is_tried_with_the_tests_that_reach_it() -> None:
    own = KnownTest("tests/unit/farm/test_a.py::test_cached", 2.0, frozenset())
    cheap = KnownTest("tests/unit/cli/test_b.py::test_b", 0.1, frozenset({"farm/a.py:f"}))
    other = KnownTest("tests/unit/cli/test_c.py::test_c", 0.1, frozenset({"farm/a.py:g", "farm/ab.py:f"}))
    everything = [cheap, other, own]
    assert run.tests_of(Place("farm/a.py", 0, 1, "f", "1"), everything) == [own, cheap]
    assert run.tests_of(Place("farm/a.py", 0, 1, None, "1"), everything) == [own, cheap, other]
    assert run.tests_of(Place("farm/b.py", 0, 1, "f", "1"), everything) == []
    assert run.within([own, cheap, other], 2.15) == [own, cheap]
    assert run.within([own, cheap, other], 1.0) == [own]


@pytest.mark.programs
def test_what_a_test_calls_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(SCOPES)
    (tmp_path / "test_a.py").write_text(
        "from a import A\n"
        "def test_inner():\n    assert A().outer()() == 4\n"
        "def test_method():\n    assert A().method() == 3\n"
    )
    monkeypatch.setenv("FARM_REACHED", str(tmp_path / "reached-"))
    monkeypatch.setenv("PYTHONPATH", str(run.ROOT))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutation.reached", "--rootdir", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    (test,) = run.read_tests(tmp_path)
    assert test.name.endswith("test_a.py::test_inner"), "one that fails takes no part"
    assert {name for name in test.functions if name.startswith("a.py")} == {
        "a.py:A.outer",
        "a.py:A.outer.<locals>.inner",
    }


@pytest.mark.programs
def test_an_attempt_tells_what_came_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "def test_good():\n    pass\n"
        "def test_bad():\n    assert False\n"
        "def test_endless():\n    while True:\n        pass\n"
    )
    # In a process of its own, which forks without the threads of this one.
    script = (
        "from pathlib import Path; from tests.mutation import trying\n"
        "for name in ('good', 'bad', 'endless', 'absent'):\n"
        "    print(trying.attempt([f'test_a.py::test_{name}'], Path('scratch').resolve(), 2))\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.append({str(run.ROOT)!r})\n{script}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:4] == [trying.SURVIVED, trying.CAUGHT, trying.ENDLESS, trying.NO_TESTS], done.stderr


def test_what_a_killed_run_left_is_undone(tmp_path: Path) -> None:
    for folder, text in (("copy", "x = 2"), ("kept", "x = 1  # why")):
        (tmp_path / folder / "farm").mkdir(parents=True)
        (tmp_path / folder / "farm" / "a.py").write_text(text)
    run.write_unchanged(tmp_path / "copy", tmp_path / "kept")
    assert (tmp_path / "copy" / "farm" / "a.py").read_text() == "x = 1"
