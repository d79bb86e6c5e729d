"""How long a graph takes to convert: one dynamic signature now, and the four of fixed lengths that there were before.

What came before is taken from the repository's own history, and runs in a process of its own.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.spine import ROOT, say

# The last commit whose graphs had a signature for each length.
BEFORE = "8aaa682"
CONTEXT, PREFILL = 256, (32, 128)

_NOW = """
import json, pickle, sys, time
from pipeline.conversion import graph
found = []
for path in sys.argv[1:]:
    description = pickle.loads(open(path, "rb").read())
    started = time.perf_counter()
    graph.convert(description)
    found.append(time.perf_counter() - started)
print(json.dumps(found))
"""
_BEFORE = _NOW.replace("convert(description)", f"convert(description, {CONTEXT}, {PREFILL})")
_FAMILIES = """
import json, pickle, sys
from pathlib import Path
from pipeline.conversion.mapping import map_model
from tests.integration.test_families import CASES, lively
found = {}
for case, (kind, _) in CASES.items():
    if kind.backbone_cls.__name__ not in found:
        model = map_model(lively(case))
        Path(sys.argv[1], case).write_bytes(pickle.dumps(model.description))
        found[kind.backbone_cls.__name__] = [case, len(model.description.layers)]
print(json.dumps({case: layers for case, layers in found.values()}))
"""
_OPENED = """
import pickle, sys
from pathlib import Path
from farm.jobspec import TokenizerGraph
from pipeline.conversion.opening import open_model
Path(sys.argv[2]).write_bytes(pickle.dumps(open_model(Path(sys.argv[1]), TokenizerGraph.PORTABLE).model.description))
"""


def former_tree(folder: Path) -> Path:
    """The repository as it was before; exits with a sentence where its history is not there."""
    tree = folder / f"before-{BEFORE}"
    if not tree.exists():
        done = subprocess.run(
            ["git", "archive", BEFORE, "farm", "pipeline"], cwd=ROOT, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(
                f"Commit {BEFORE} is not in this copy of the repository; fetch its history (git fetch --unshallow)."
            )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(tree, filter="data")
    return tree


def describe_families(folder: Path) -> dict[str, int]:
    """Write a small model's description for every family; how many layers each has."""
    answer: dict[str, int] = json.loads(_python(_FAMILIES, [folder], ROOT).splitlines()[-1])
    return answer


def describe(model: Path, path: Path) -> None:
    """Write the description of a model as it is handed in."""
    _python(_OPENED, [model, path], ROOT)


def now(descriptions: Sequence[Path]) -> list[float]:
    """Seconds that each graph takes to convert, one after the other in a new process that has loaded TensorFlow."""
    return _seconds(_NOW, descriptions, ROOT)


def before(descriptions: Sequence[Path], tree: Path) -> list[float]:
    """Seconds that the former graphs took: lengths of 32 and 128 tokens, one step, four drafts."""
    return _seconds(_BEFORE, descriptions, tree)


def times(folder: Path) -> list[tuple[str, int, float, float]]:
    """Every family: its name, how many layers its small model has, seconds now and before."""
    say("converting a small model of every family")
    layers, tree = describe_families(folder), former_tree(folder)
    # What is only slow the first time is no family's.
    paths = [folder / case for case in (next(iter(layers)), *layers)]
    found = zip(layers.items(), now(paths)[1:], before(paths, tree)[1:], strict=True)
    return [(case, count, here, there) for (case, count), here, there in found]


def _seconds(code: str, paths: Sequence[Path], tree: Path) -> list[float]:
    found: list[float] = json.loads(_python(code, paths, tree).splitlines()[-1])
    return found


def _python(code: str, words: Sequence[Path], tree: Path) -> str:
    """What a program says in the folder of a tree, whose own modules it finds first."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True, check=True).stdout
