"""Change random places of the farm's code, one at a time, and see whether its unit tests notice; `scripts/mutation`.

Everything happens in a copy of the repository below --folder. First all unit tests run there once, and the functions
that each calls are kept. Then each change is tried with the tests that call the function around it, the cheapest first;
a change of code that runs on import with those that call anything of its module. What came of a change is kept as well,
so that a run that was broken off goes on where it was.

mutmut and cosmic-ray run all tests for each change, which here takes hours.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutation import trying
from tests.mutation.places import Place, changed, places

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("farm", "db", "worker", "pipeline")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".oracle", ".toolchain", ".mutation", ".*_cache", "__pycache__", "site", "dist", ".home"
)
UNTESTED = "untested"
# How many times the processor time of its tests, and how many seconds beyond, a change may take.
PATIENCE, GRACE = 4.0, 30.0
FEW = 12


@dataclass(frozen=True)
class KnownTest:
    """A unit test that passes.

    name: its node id. seconds: of processor time. functions: what it calls, as `path:qualified name`.
    """

    name: str
    seconds: float
    functions: frozenset[str]


def copy_repository(copy: Path, kept: Path) -> None:
    """Copy the tree, its modules written as a changed one is written, and below `kept` as they are.

    Tests that look at the text of a module then fail before any change, and take no part.
    """
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    (copy / ".toolchain").symlink_to(ROOT / ".toolchain")
    for path in module_paths(copy):
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy / path, kept / path)
    write_unchanged(copy, kept)


def write_unchanged(copy: Path, kept: Path) -> None:
    """Write every module of the copy without a change: a run that was killed leaves one behind."""
    for path in module_paths(kept):
        (copy / path).write_text(ast.unparse(ast.parse((kept / path).read_text())))


def module_paths(root: Path) -> list[str]:
    """The modules that are changed, relative to the repository; migrations are never run twice alike."""
    found = [path.relative_to(root) for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [str(path) for path in found if "migrations" not in path.parts]


def run_all_tests(copy: Path, folders: Sequence[str]) -> None:
    """Note what each unit test calls, in files beside the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.mutation.reached"]
    command += ["-n", "logical", "--dist", "loadfile", f"--basetemp={copy.parent / 'all'}", *folders]
    variables = os.environ | {"FARM_REACHED": str(copy.parent / "reached-")}
    subprocess.run(command, cwd=copy, env=variables, check=False)


def read_tests(folder: Path) -> list[KnownTest]:
    """What run_all_tests noted, the cheapest test first."""
    lines = [line for path in folder.glob("reached-*") for line in path.read_text().splitlines()]
    if not lines:
        sys.exit("No unit test passed in the copy of the repository.")
    found = [KnownTest(each["test"], each["seconds"], frozenset(each["functions"])) for each in map(json.loads, lines)]
    return sorted(found, key=lambda test: (test.seconds, test.name))


def tests_of(place: Place, tests: Iterable[KnownTest]) -> list[KnownTest]:
    """The tests that reach a place, the cheapest first.

    Those of the module's own file all count: what is cached is called by the first test alone.
    """
    path = Path(place.path)
    own = f"tests/unit/{path.parent}/test_{path.stem}.py::"
    inside = f"{place.path}:"
    if place.function is None:
        reached = [test for test in tests if any(each.startswith(inside) for each in test.functions)]
    else:
        reached = [test for test in tests if f"{place.path}:{place.function}" in test.functions]
    named = [test for test in tests if test.name.startswith(own)]
    return [*named, *(test for test in reached if not test.name.startswith(own))]


def within(tests: Sequence[KnownTest], seconds: float) -> list[KnownTest]:
    """As many of the tests, from the first, as take no longer than this together; at least one."""
    chosen, spent = list(tests[:1]), tests[0].seconds
    for test in tests[1:]:
        spent += test.seconds
        if spent > seconds:
            break
        chosen.append(test)
    return chosen


def try_place(place: Place, tests: Sequence[KnownTest], copy: Path) -> str:
    """What becomes of the tests when this place is changed."""
    module = copy / place.path
    source = module.read_text()
    module.write_text(changed(source, place.number))
    try:
        # Most changes are caught by a few tests, and to collect many takes longer than to run those.
        outcome = _attempt(tests[:FEW], copy.parent / "scratch")
        return _attempt(tests[FEW:], copy.parent / "scratch") if outcome == trying.SURVIVED and tests[FEW:] else outcome
    finally:
        module.write_text(source)


def _attempt(tests: Sequence[KnownTest], scratch: Path) -> str:
    """What becomes of these tests."""
    allowed = GRACE + PATIENCE * sum(test.seconds for test in tests)
    try:
        outcome = trying.attempt([test.name for test in tests], scratch, allowed)
        # A change may give a test's cases other names.
        if outcome == trying.NO_TESTS:
            files = sorted({test.name.split("::")[0] for test in tests})
            outcome = trying.attempt(files, scratch, allowed + 300)
        return trying.CAUGHT if outcome == trying.NO_TESTS else outcome
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """Try some changes and print what became of them."""
    parser = argparse.ArgumentParser(prog="scripts/mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="how many places")
    parser.add_argument("--seed", type=int, default=1, help="which places: the same number chooses the same ones")
    parser.add_argument("--only", default="", help="modules whose path begins so")
    parser.add_argument("--most", type=float, default=60.0, help="seconds of tests that a change is tried with at most")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation", help="remove it to begin with today's code")
    parser.add_argument("tests", nargs="*", default=["tests/unit"], help="folders of unit tests; all without")
    options = parser.parse_args()
    folder = options.folder.resolve()
    copy, kept, results = folder / "copy", folder / "kept", folder / "results"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        copy_repository(copy, kept)
        run_all_tests(copy, options.tests)
        (folder / "whole").touch()
    write_unchanged(copy, kept)
    tests = read_tests(folder)
    known = [each for path in module_paths(kept) if path.startswith(options.only) for each in places(kept, path)]
    chosen = random.Random(options.seed).sample(known, min(options.count, len(known)))  # noqa: S311  the same each time
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    before = {(line["place"]["path"], line["place"]["number"]): line["outcome"] for line in lines}
    os.chdir(copy)
    trying.preload()
    outcomes = Counter[str]()
    for place in chosen:
        reaching = tests_of(place, tests)
        outcome = before.get((place.path, place.number))
        if outcome is None:
            outcome = try_place(place, within(reaching, options.most), copy) if reaching else UNTESTED
            with results.open("a") as file:
                file.write(json.dumps({"place": asdict(place), "outcome": outcome}) + "\n")
        outcomes[outcome] += 1
        sys.stdout.write(f"{outcome:9} {place.path}:{place.line} {place.function or 'on import'}: {place.text}\n")
        sys.stdout.flush()
    tried = len(chosen) - outcomes[UNTESTED]
    caught = outcomes[trying.CAUGHT] + outcomes[trying.ENDLESS]
    sys.stdout.write(
        f"{caught} of {tried} caught ({caught / max(tried, 1):.0%}); no unit test calls {outcomes[UNTESTED]} more\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
