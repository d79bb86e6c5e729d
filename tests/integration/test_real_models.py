"""Real models go all the way: converted, verified, packaged, run by the app's own code on the JVM, and drawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from examples.smollm2 import __main__ as smollm2
from farm.artifacts import ArtifactName

FARM = Path(sys.executable).with_name("farm")
QUESTION = "What is the capital of France?"
PACKAGES = (ArtifactName.APK, ArtifactName.BUNDLE, ArtifactName.LIBRARY)
PICTURES = (ArtifactName.SCREENSHOT_LIGHT, ArtifactName.SCREENSHOT_DARK)
# Beyond this the farm that is kept between test runs is made again.
MOST_BYTES = 6e9


class KeptFarm:
    """The `farm` command with a home that is kept between test runs: what no code has changed is not made again."""

    def __init__(self, home: Path) -> None:
        self._environment = {**os.environ, "FARM_HOME": str(home), "FARM_IDLE_SECONDS": "2"}

    def run(self, *words: object) -> str:
        """What the command writes."""
        done = subprocess.run(
            [FARM, *map(str, words)], env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def make(self, model: Path, recipe: str, output: Path) -> dict[str, float]:
        """Run the whole job and download what comes of it; its measures."""
        job = json.loads(self.run("submit", model, "--quant", recipe, "--wait", "--json"))["id"]
        self.run("download", job, "--output", output, "--force")
        report: dict[str, Any] = json.loads((output / ArtifactName.REPORT).read_text())
        assert {stage["state"] for stage in report["stages"]} <= {"succeeded", "reused"}
        return {measure["name"]: measure["value"] for measure in report["metrics"]}


@pytest.fixture(scope="module")
def farm(request: pytest.FixtureRequest) -> KeptFarm:
    assert request.config.cache is not None
    home = request.config.cache.mkdir("real-models")
    if sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) > MOST_BYTES:
        shutil.rmtree(home)
        home.mkdir()
    return KeptFarm(home)


def test_smollm2_answers_rightly_in_its_app_and_here(farm: KeptFarm, tmp_path: Path) -> None:
    smollm2.make(smollm2.HERE)
    measured = farm.make(smollm2.HERE, "int8", tmp_path)
    assert measured["divergence"] < 0.02
    assert measured["top1_agreement"] > 0.92
    assert abs(measured["perplexity_ratio"] - 1) < 0.02
    # Of 4 prompts 16 tokens each, or to the end of the answer; on the JVM the same path.
    assert measured["greedy_steps"] + measured["greedy_ties"] >= 30
    assert measured["host_compared"] == measured["greedy_steps"]
    assert measured["repetition_tokens"] > 100
    assert abs(measured["repetition"] - measured["keras_repetition"]) < 0.5
    golden = json.loads((tmp_path / ArtifactName.GOLDEN).read_text())
    assert QUESTION in golden["prompts"][0]["text"]
    answered = json.loads(farm.run("run", tmp_path / ArtifactName.APK, QUESTION, "--json"))
    assert "Paris" in answered["completion"]
    for name in PACKAGES:
        assert zipfile.ZipFile(tmp_path / name).testzip() is None
    for name in PICTURES:
        assert (tmp_path / name).stat().st_size > 40_000
