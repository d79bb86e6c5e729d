"""A stage that is added as docs/how-to/extend.md says is part of every job, with nothing else to change."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from farm import locations

PAGE = locations.ROOT / "docs" / "how-to" / "extend.md"
COPIED = (*locations.PACKAGES, "android-builder", "tests", "pyproject.toml")


def blocks() -> list[str]:
    """The code of the page's stage: its name, its row, its output's name, its module."""
    section = PAGE.read_text().split("\n## Add a stage\n")[1].split("\n## ")[0]
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", section, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


def insert(file: Path, behind: str, text: str) -> None:
    content = file.read_text()
    assert content.count(behind) == 1, f"{behind!r} in {file}"
    file.write_text(content.replace(behind, behind + text))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The farm's sources with the stage of the page."""
    root = tmp_path / "farm"
    for name in COPIED:
        source = locations.ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
        else:
            shutil.copy(source, root / name)
    name, row, output, module = blocks()
    insert(root / "farm/stages.py", '    SDK = "sdk"\n', textwrap.indent(name, "    "))
    insert(root / "farm/stages.py", "resources=frozenset({Resource.PERMITTED_OPS}), when=_runs_on_jvm,\n    ),\n",
           f"    {row.strip()},\n")  # fmt: skip
    insert(root / "farm/artifacts.py", '    REPORT = "report.json"\n', textwrap.indent(output, "    "))
    insert(root / "farm/artifacts.py", "    ArtifactName.REPORT,\n", f"    ArtifactName.{output.split()[0]},\n")
    (root / "pipeline/stages/checksum.py").write_text(module)
    return root


def test_the_stage_of_the_page_runs_in_a_job(copy: Path, tmp_path: Path) -> None:
    program = copy / "tests" / "faults" / "added_stage.py"
    ran = subprocess.run(
        [sys.executable, program, "checksum", tmp_path / "home"],
        env={**os.environ, "PYTHONPATH": str(copy)}, cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout)
    assert (found["job"], found["error"], found["stage"]) == ("succeeded", None, "succeeded")
    [(name, written)] = found["made"].items()
    assert name == "model.tflite.sha256"
    digest, file = written.split()
    assert (len(digest), file) == (hashlib.sha256().digest_size * 2, "model.tflite")
    assert found["metrics"]["checksummed"] > 0
    assert "pipeline/stages/checksum.py" in found["sources"]
    # Nothing of another stage is in its key, so that only its own changes run it again.
    assert "pipeline/stages/convert.py" not in found["sources"]
