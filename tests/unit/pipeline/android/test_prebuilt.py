"""The app that the Android worker's image brings along: built once, kept, and used by the stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.android import building, prebuilt
from pipeline.android.base import AppBase
from pipeline.request import StageRequest
from pipeline.stages import app
from pipeline.toolchain import maven


def test_the_app_is_built_once_and_the_stage_copies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(_sources: object, _tools: object, target: Path, _scratch: Path, _report: object) -> AppBase:
        built.append(target)
        target.mkdir(parents=True)
        (target / "classes.dex").write_bytes(b"code")
        return AppBase(target)

    monkeypatch.setattr(building, "build", build)
    tools = maven.at(tmp_path / "toolchain")
    for target in (tmp_path / "first", tools.folder / prebuilt.FOLDER):
        prebuilt.provide(tools, tmp_path / "kept", target, lambda _share, _activity: None)
        assert [path.name for path in target.iterdir()] == [prebuilt.name()]
    assert len(built) == 1
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [prebuilt.name()]

    request = StageRequest(
        stage=StageName.APP, spec=JobSpec(model_kind=ModelKind.PRESET, model="gpt2"), workdir=tmp_path / "work",
        caches=tmp_path, toolchain=tools.folder, keystore=None, threads=1,
    )  # fmt: skip
    result = app.run(request, lambda _share, _activity: None)
    assert (request.output(ArtifactName.APP_BASE) / "classes.dex").read_bytes() == b"code"
    assert [metric.value for metric in result.metrics] == [4]
    assert len(built) == 1
