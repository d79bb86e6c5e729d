"""Every module of the database can be the first that a program imports; no contract sees a circle in a package."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from farm import locations
from farm.stages import STAGES, Queue
from pipeline.provenance.closure import Repository

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [each for each in sys.modules if each.split(".")[0] in ("db", "worker")]:
        del sys.modules[known]
    importlib.import_module(name)
"""


@pytest.mark.programs
def test_every_module_can_be_the_first() -> None:
    found = [f"db.{each.name}" for each in pkgutil.iter_modules([str(locations.ROOT / "db")]) if not each.ispkg]
    found.append("worker.relay")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *found], cwd=locations.ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(found) > 10


IMAGE = """
import importlib, importlib.abc, importlib.metadata, re, sys

role, *names = sys.argv[1:]
lock = open(f"requirements/{role}.lock").read()
held = {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)}
held.add("keras-android-farm")
known = importlib.metadata.packages_distributions().items()
absent = {top for top, made in known if not {name.lower().replace("_", "-") for name in made} & held}


class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"the image has no {name}", name=name)


sys.meta_path.insert(0, Absent())
for name in names:
    importlib.import_module(name)
"""
ANDROID = [f"pipeline.stages.{stage.name.value.replace('-', '_')}" for stage in STAGES if stage.queue is Queue.ANDROID]


@pytest.mark.programs
@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("server", ["kombu.transport.redis", "kombu.transport.pyamqp", "worker.relay", "server.app", "cli.main"]),
        ("android", ["kombu.transport.redis", "worker.queue_worker", "worker.tasks.wake_up", *ANDROID]),
    ],
)
def test_an_image_holds_what_its_programs_import(role: str, names: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMAGE, role, *names], cwd=locations.ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_the_androids_toolchain_is_fetched_again_only_when_what_fetches_changes() -> None:
    """What its layer copies is what the two programs import, and nothing else of the farm."""
    text = (locations.ANDROID_BUILDER / "Dockerfile").read_text().replace("\\\n", " ")
    layer = text.partition(" AS toolchain\n")[2].partition("\nFROM ")[0]
    names = [name for line in layer.splitlines() if line.startswith("COPY ") for name in line.split()[1:-1]]
    copied = {path for name in names for path in (locations.ROOT / name, *(locations.ROOT / name).glob("*.py"))}
    needed = Repository.of_farm().closure("pipeline.toolchain.maven", "pipeline.toolchain.arm_machine").files
    assert needed <= {path.relative_to(locations.ROOT).as_posix() for path in copied}
    assert {name for name in names if name.startswith("farm")} <= needed
