"""The app's engine with the arm64 build of its runtime, on the processors of phones, emulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.artifacts import ArtifactName
from farm.errors import HostMismatch
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.recipes import WeightFormat
from farm.stages import StageName
from pipeline.android import archive, arm_run, host_driver
from pipeline.android.archive import Member
from pipeline.android.assembly import JOB_ASSETS
from pipeline.android.base import AppBase
from pipeline.inference import divergence
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.reference import TextReference
from pipeline.request import StageRequest, StageResult
from pipeline.stages import arm_check
from pipeline.toolchain import arm_machine
from pipeline.toolchain.arm_machine import CPUS, Cpu
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures.weightless_graphs import GPT2_LIKE
from tests.integration.test_app_engine import Built, build

TOKENS = 20
FORMATS = (
    WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8_PER_ROW, WeightFormat.INT4_PER_ROW,
    WeightFormat.INT4_BLOCKS_OF_32,
)  # fmt: skip
# Random weights in few bits; kernels that read them wrongly are two orders beyond it.
LARGEST_DIVERGENCE = 0.02


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[WeightFormat, Built]:
    folder = tmp_path_factory.mktemp("models")
    return {each: build(GPT2_LIKE, each, folder) for each in FORMATS}


def text_of(model: Path, tokens: list[int]) -> TextReference:
    """What ai-edge-litert predicts on this machine, in the place of Keras."""
    logits = np.stack(list(divergence.read(open_token_model(model), tokens)))
    known, log_p = divergence.likeliest(logits)
    return TextReference(np.array(tokens, np.int32), known, log_p, np.ones(len(tokens) - 1, np.float32))


@pytest.mark.parametrize("cpu", CPUS, ids=lambda cpu: cpu.model)
def test_every_weight_format_on_every_processor(
    cpu: Cpu, models: dict[WeightFormat, Built], app_base: AppBase, android_toolchain: Toolchain, tmp_path: Path
) -> None:
    machine = arm_machine.find(android_toolchain.folder)
    assert machine is not None, "scripts/bootstrap brings the emulator"
    lines: list[dict[str, Any]] = []
    for weight_format, built in models.items():
        lines.append({"cmd": "open", "model": str(built.model), "info": str(built.info), "threads": 1})
        where = str(tmp_path / f"{weight_format}.f32")
        lines.append({"cmd": "score", "tokens": built.prompt(TOKENS), "from": 0, "logits": where})
    output = host_driver.run(
        (*machine.java(cpu), *arm_run.JVM), host_driver.classpath(app_base, android_toolchain, Role.ARM_NATIVE),
        host_driver.encode(lines), tmp_path, timeout=300, hint="see above",
    )  # fmt: skip
    assert "error" not in output
    for weight_format, built in models.items():
        logits = np.fromfile(tmp_path / f"{weight_format}.f32", "<f4").reshape(TOKENS, -1)
        rows = divergence.compare(text_of(built.model, built.prompt(TOKENS)), logits)
        assert arm_run.measure(cpu, list(rows)).divergence < LARGEST_DIVERGENCE, weight_format


Run = Callable[[TextReference, float], tuple[StageResult, dict[str, Any]]]


@pytest.fixture
def run(
    tmp_path: Path,
    models: dict[WeightFormat, Built],
    app_base: AppBase,
    android_toolchain: Toolchain,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs the stage on a package of the int8 model; gives its result and `arm-run.json`."""
    # The others are run by the test above.
    monkeypatch.setattr(arm_machine, "CPUS", CPUS[1:2])

    def run(text: TextReference, seconds: float) -> tuple[StageResult, dict[str, Any]]:
        for name in ("inputs", "outputs", "scratch"):
            (tmp_path / name).mkdir()
        request = StageRequest(
            stage=StageName.ARM_CHECK, spec=JobSpec(model_kind=ModelKind.PRESET, model="x"), workdir=tmp_path,
            caches=tmp_path, toolchain=android_toolchain.folder, keystore=None, threads=1, arm_seconds=seconds,
        )  # fmt: skip
        built = models[WeightFormat.INT8_PER_ROW]
        info = json.loads(built.info.read_text()) | {"recipe": "int8"}
        (tmp_path / "info.json").write_text(json.dumps(info))
        files = {ArtifactName.MODEL: built.model, ArtifactName.MODEL_INFO: tmp_path / "info.json"}
        request.input(ArtifactName.APP_BASE).symlink_to(app_base.folder)
        assets = app_base.asset_files() | {JOB_ASSETS[artifact]: path for artifact, path in files.items()}
        archive.write(request.input(ArtifactName.APK), (Member(name, path, 16384) for name, path in assets.items()))
        monkeypatch.setattr(arm_check, "read_reference", lambda _path: type("Reference", (), {"texts": (text,)}))
        result = arm_check.run(request, lambda _share, _activity: None)
        return result, json.loads(request.output(ArtifactName.ARM_RUN).read_text())

    return run


def test_the_stage_measures_what_the_app_predicts(run: Run, models: dict[WeightFormat, Built]) -> None:
    built = models[WeightFormat.INT8_PER_ROW]
    result, written = run(text_of(built.model, built.prompt(TOKENS)), 0.01)
    found = {metric.name: metric.value for metric in result.metrics}
    # The time is over at once, and the least number of tokens was read all the same.
    assert arm_run.LEAST_TOKENS <= found["arm_cortex-a76_tokens"] <= TOKENS
    assert found["arm_cortex-a76_divergence"] < LARGEST_DIVERGENCE
    assert written["runs"][0]["instructions"] == CPUS[1].title
    assert "libc6" in written["packages"]


def test_another_models_predictions_are_refused(run: Run, models: dict[WeightFormat, Built]) -> None:
    built = models[WeightFormat.INT8_PER_ROW]
    random = np.random.default_rng(5).normal(0, 5, (TOKENS, built.sizes.vocabulary)).astype(np.float32)
    known, log_p = divergence.likeliest(random)
    text = TextReference(np.array(built.prompt(TOKENS), np.int32), known, log_p, np.ones(TOKENS - 1, np.float32))
    with pytest.raises(HostMismatch, match="nats on cortex-a76"):
        run(text, 1.0)


def test_what_is_left_out_is_said(run: Run, models: dict[WeightFormat, Built]) -> None:
    built = models[WeightFormat.INT8_PER_ROW]
    result, written = run(text_of(built.model, built.prompt(TOKENS)), 0.0)
    assert result.notes == ("The model was not run on a phone's processor: FARM_ARM_SECONDS is 0.",)
    assert (result.metrics, written["runs"]) == ((), [])
