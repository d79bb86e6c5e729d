"""A stage that is added as docs/how-to/extend.md says is part of every job, with nothing else to change."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import farm_copy


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The farm's sources with the stage of the page."""
    root = farm_copy.make(tmp_path / "farm")
    name, row, output, module = farm_copy.blocks("Add a stage")
    stages, artifacts = root / "farm/stages.py", root / "farm/artifacts.py"
    farm_copy.insert(stages, '    SDK = "sdk"\n', name)
    last = "resources=frozenset({Resource.PERMITTED_OPS}), when=_runs_on_jvm,\n    ),\n"
    farm_copy.insert(stages, last, f"{row.strip()},\n")
    farm_copy.insert(artifacts, '    REPORT = "report.json"\n', output)
    farm_copy.insert(artifacts, "    ArtifactName.REPORT,\n", f"ArtifactName.{output.split()[0]},\n")
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
