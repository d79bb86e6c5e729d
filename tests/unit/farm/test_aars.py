from __future__ import annotations

from pathlib import Path

import pytest

from farm import aars
from farm.appspec import AppSpec
from farm.errors import AarUnusable, BadAppSetting, UsageError
from farm.jobspec import IoMode, JobSpec, TokenizerGraph
from farm.modelref import ModelKind
from farm.stages import StageName, stages_of


def test_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.aar").write_bytes(aars.ARCHIVE)
    assert aars.parse("stock") == "stock"
    assert aars.parse("bazel") == "bazel"
    assert aars.parse("file:my.aar") == f"file:{tmp_path}/my.aar"
    assert aars.file_of(f"file:{tmp_path}/my.aar") == tmp_path / "my.aar"
    assert aars.file_of("stock") is None


@pytest.mark.parametrize("text", ["", "maven", "file:", "my.aar"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="choose stock, bazel or file:PATH"):
        aars.parse(text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AarUnusable, match="There is no AAR at"):
        aars.parse(f"file:{tmp_path}/none.aar")
    (tmp_path / "model.tflite").write_bytes(b"TFL3")
    with pytest.raises(AarUnusable, match="is no AAR"):
        aars.parse(f"file:{tmp_path}/model.tflite")


@pytest.mark.parametrize("value", ["maven", "file:relative.aar", "file:"])
def test_a_spec_holds_no_other(value: str) -> None:
    with pytest.raises(BadAppSetting):
        AppSpec(aar=value)


def names(**changes: object) -> set[StageName]:
    spec = JobSpec.model_validate({"model_kind": ModelKind.PRESET, "model": "x"} | changes)
    return {stage.name for stage in stages_of(spec)}


def test_a_job_has_the_stages_of_its_io_mode() -> None:
    strings_only = {StageName.REFERENCE_RUN, StageName.AAR, StageName.STRINGS_APP}
    jvm_only = {StageName.APP, StageName.JVM_CHECK, StageName.SCREENSHOTS, StageName.BUNDLE}
    assert names() - names(io_mode=IoMode.BYTES) == {StageName.LITERT_LM}
    assert names(static_shapes=True) == names(io_mode=IoMode.BYTES)
    assert not names() & strings_only
    assert jvm_only <= names()
    strings = names(io_mode=IoMode.STRINGS)
    assert strings_only <= strings
    assert not strings & jvm_only
    assert strings - names(io_mode=IoMode.STRINGS, app=AppSpec(aar="bazel")) == {StageName.REFERENCE_RUN}
    assert {StageName.OPS, StageName.PACKAGE} <= names() & strings


def test_kerashubs_own_graph_ends_in_an_app_only_with_an_aar_that_has_its_ops() -> None:
    graph = {"io_mode": IoMode.STRINGS, "tokenizer_graph": TokenizerGraph.TFTEXT}
    assert not names(**graph) & {StageName.REFERENCE_RUN, StageName.AAR, StageName.STRINGS_APP, StageName.PACKAGE}
    assert StageName.VERIFY in names(**graph)
    assert {StageName.AAR, StageName.STRINGS_APP, StageName.PACKAGE} <= names(**graph, app=AppSpec(aar="bazel"))
    assert StageName.REFERENCE_RUN not in names(**graph, app=AppSpec(aar="bazel"))
