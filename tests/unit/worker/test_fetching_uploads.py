"""The fetch stage takes an uploaded model from its inputs, in either form."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm import digests, sources
from farm.artifacts import ArtifactName
from farm.errors import ModelChanged
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.request import StageRequest
from pipeline.stages import fetch


def order(workdir: Path, files: dict[str, bytes], digest: str | None = None) -> StageRequest:
    folder = workdir / "inputs" / "source"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    listing: dict[str, dict[str, str | int]] = {
        name: {"digest": digests.of_bytes(content), "size": len(content)} for name, content in files.items()
    }
    spec = JobSpec(
        model_kind=ModelKind.UPLOADED, model="/etc/passwd", model_digest=digest or sources.digest_of_listing(listing)
    )
    return StageRequest(
        stage=StageName.FETCH, spec=spec, workdir=workdir, caches=workdir, toolchain=workdir, keystore=None, threads=1
    )


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": b"{}", "assets/tokenizer/merges.txt": b"a b"},
        {"model.keras": b"PK"},
        {"model.keras": b"PK", "adapter/adapter.lora.h5": b"h5"},
        {"config.json": b"{}", "adapter/adapter_config.json": b"{}", "adapter/adapter_model.safetensors": b"st"},
    ],
    ids=["preset", "keras", "keras with an adapter", "folder with an adapter"],
)
def test_both_forms(tmp_path: Path, files: dict[str, bytes]) -> None:
    given = order(tmp_path, files)
    result = fetch.run(given, lambda _share, _activity: None)
    assert result.attributes["source_digest"] == given.spec.model_digest
    target = given.output(ArtifactName.SOURCE)
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == set(files)


def test_another_content_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelChanged):
        fetch.run(order(tmp_path, {"model.keras": b"PK"}, "0" * 64), lambda _share, _activity: None)
