"""Q1: real models go all the way: converted, verified, packaged, run by the app's own code on the JVM, and drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.artifacts import ArtifactName
from tests.fixtures.kept_farm import KeptFarm
from tests.fixtures.real_models import gemma3_folder, smollm2_folder
from tests.trial import Trial

__all__ = ["gemma3_folder", "smollm2_folder"]

QUESTION, BEGINNING, ANSWER = "What is the capital of France?", "The Eiffel Tower is in the city of", "Paris"
# What the golden conversation asks for.
CITIES = ("Paris", "Rome", "Tokyo")
# With the recipes of the full form: what most people choose, and what rounds little or nothing.
RECIPES = ("none", "fp16", "int8")
MOST_DIVERGENCE = {"none": 1e-6, "fp16": 1e-4, "int8": 0.015, "int8-plain": 0.05}
LEAST_TOP1 = {"none": 0.999, "fp16": 0.99, "int8": 0.92, "int8-plain": 0.8}
# Beyond this the farm that is kept between test runs is made again.
MOST_BYTES = 6e9


@pytest.fixture
def home(request: pytest.FixtureRequest, trial: Trial, tmp_path: Path) -> Iterator[Path]:
    """The short form's farm is kept between test runs; the full one's files are too many for that."""
    if trial.full:
        yield tmp_path / "home"
        shutil.rmtree(tmp_path)
        return
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("real-models")
    if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > MOST_BYTES:
        shutil.rmtree(folder)
        folder.mkdir()
    yield folder


def require_quality(measured: dict[str, float], recipe: str) -> None:
    """A real model at that recipe is as close to its source as it was when the recipe was made."""
    assert measured["divergence"] < MOST_DIVERGENCE[recipe]
    assert measured["top1_agreement"] > LEAST_TOP1[recipe]
    assert abs(measured["perplexity_ratio"] - 1) < 0.06
    # Of 4 prompts 16 tokens each, or to the end of the answer.
    assert measured["greedy_steps"] + measured["greedy_ties"] >= 30
    assert measured["repetition_tokens"] > 100
    assert abs(measured["repetition"] - measured["keras_repetition"]) < 0.5


@pytest.mark.goal(id="Q1")
def test_smollm2_answers_rightly_in_its_app_and_here(
    trial: Trial, smollm2_folder: Path, home: Path, toolchain_with_app: Path, tmp_path: Path
) -> None:
    # The short form leaves the emulated phones to tests/integration/test_arm_check.py: they start for a minute.
    farm = KeptFarm(home, toolchain_with_app, arm_seconds=20 if trial.full else 0)
    recipes = RECIPES if trial.full else ("int8",)
    for recipe in recipes:
        measured = farm.make(smollm2_folder, recipe, tmp_path / recipe)
        require_quality(measured, recipe)
        assert not trial.full or measured["arm_cortex-a76_tokens"] >= 16
        golden = json.loads((tmp_path / recipe / ArtifactName.GOLDEN).read_text())
        assert QUESTION in golden["prompts"][0]["text"]
        assert ANSWER in farm.answer(tmp_path / recipe / ArtifactName.APK, QUESTION)
        talk = golden["conversations"][0]["turns"]
        assert [city in turn["answer"] for city, turn in zip(CITIES, talk, strict=True)] == [True] * 3
    trial.measured(f"SmolLM2-135M-Instruct with {', '.join(recipes)}: APK, AAB, AAR, drawn, {ANSWER}")


@pytest.mark.goal(id="Q1")
def test_gemma3_goes_on_rightly_in_its_app_and_here(
    trial: Trial, gemma3_folder: Path, home: Path, toolchain_with_app: Path, tmp_path: Path
) -> None:
    """The short form is the recipe that is made the fastest, without the emulated phones."""
    farm = KeptFarm(home, toolchain_with_app, arm_seconds=20 if trial.full else 0)
    recipes = RECIPES if trial.full else ("int8-plain",)
    for recipe in recipes:
        require_quality(farm.make(gemma3_folder, recipe, tmp_path / recipe), recipe)
        assert ANSWER in farm.answer(tmp_path / recipe / ArtifactName.APK, BEGINNING)
    trial.measured(f"Gemma 3 270M with {', '.join(recipes)}: APK, AAB, AAR, drawn, {ANSWER}")
