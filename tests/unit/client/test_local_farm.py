"""The embedded farm's answers, without a worker."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from client import preflight
from client.local import LocalFarm
from db import workers
from db.session import open_database
from farm import digests, identity, sources
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import (
    ArtifactMissing,
    DatabaseUnusable,
    JobNotFinished,
    JobNotFound,
    ModelEmpty,
    ModelNotFound,
    SandboxUnavailable,
    SettingsInvalid,
)  # fmt: skip
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode, Settings
from farm.stages import stages_of
from farm.states import JobState, StageState

HUB = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en", recipe="int8")


@pytest.fixture
def farm(tmp_path: Path) -> LocalFarm:
    return LocalFarm(Settings(home=tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> JobSpec:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.weights.h5").write_bytes(b"weights")
    return JobSpec(model_kind=ModelKind.FOLDER, model=str(path))


def test_a_submitted_job_can_be_looked_at(farm: LocalFarm) -> None:
    submission = farm.submit(HUB)
    job = submission.job
    assert not submission.reused
    assert (job.state, job.position, job.progress, job.seconds_left) == (JobState.QUEUED, 0, 0.0, None)
    assert [stage.name for stage in job.stages] == [stage.name for stage in stages_of(job.spec)]
    assert all(stage.state is StageState.PENDING for stage in job.stages)
    assert farm.job(job.id[:5]) == farm.latest() == farm.jobs()[0] == job
    assert [event.kind for event in farm.events(job.id)] == ["submitted"]
    assert list(farm.logs(job.id)) == []


def test_an_equal_job_is_found_in_another_process_as_well(farm: LocalFarm, tmp_path: Path) -> None:
    first = farm.submit(HUB)
    again = LocalFarm(Settings(home=tmp_path / "home")).submit(HUB)
    assert (again.reused, again.job.id) == (True, first.job.id)


def test_a_local_models_content_decides(farm: LocalFarm, folder: JobSpec, tmp_path: Path) -> None:
    first = farm.submit(folder).job
    assert first.spec.model_digest == sources.digest(folder.model_ref)
    copy = tmp_path / "elsewhere" / Path(folder.model).name
    copy.parent.mkdir()
    Path(folder.model).rename(copy)
    moved = folder.model_copy(update={"model": str(copy)})
    assert farm.submit(moved).job.id == first.id
    renamed = copy.rename(tmp_path / "copy")
    assert farm.submit(folder.model_copy(update={"model": str(renamed)})).job.spec.model_ref.short_name == "copy"
    renamed.rename(copy)
    (copy / "model.weights.h5").write_bytes(b"other weights")
    assert farm.submit(moved).job.id != first.id


def test_an_adapters_content_decides(farm: LocalFarm, folder: JobSpec, tmp_path: Path) -> None:
    adapter = tmp_path / "mine.lora.h5"
    adapter.write_bytes(b"one")
    for spec in (folder, HUB):
        adapted = spec.model_copy(update={"lora": str(adapter)})
        first = farm.submit(adapted)
        assert not first.reused
        assert farm.submit(adapted).reused
        assert first.job.id != farm.submit(spec).job.id
        adapter.write_bytes(adapter.read_bytes() + b"more")
        assert farm.submit(adapted).job.id != first.job.id


def test_an_unchanged_model_is_not_read_again(
    farm: LocalFarm, folder: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = farm.submit(folder)
    monkeypatch.setattr(digests, "of_stream", lambda stream: pytest.fail(f"{stream} was read again"))
    assert farm.submit(folder).job.id == first.job.id


def test_an_equal_submit_of_a_large_model_takes_less_than_a_second(farm: LocalFarm, folder: JobSpec) -> None:
    os.truncate(Path(folder.model) / "model.weights.h5", 500 << 20)
    farm.submit(folder)
    started = time.monotonic()
    assert farm.submit(folder).reused
    assert time.monotonic() - started < 1.0


def test_another_keystore_at_the_same_place_makes_another_job(
    farm: LocalFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "check_signing", lambda app, workers: None)  # looked at in test_preflight.py
    keystore = tmp_path / "own.p12"
    spec = HUB.model_copy(update={"app": AppSpec(keystore=str(keystore), password_source="env:SECRET")})  # noqa: S106 # a name
    found = []
    for content in ("one", "one", "two"):
        keystore.write_text(content)
        found.append(farm.submit(spec).reused)
    assert found == [False, True, False]


def test_the_sandbox_is_part_of_the_job(farm: LocalFarm, tmp_path: Path) -> None:
    trusting = LocalFarm(Settings(home=tmp_path / "home", sandbox=SandboxMode.OFF))
    first, free = farm.submit(HUB).job, trusting.submit(HUB).job
    assert (first.sandbox, free.sandbox) == (SandboxMode.REQUIRED, SandboxMode.OFF)
    assert first.id != free.id
    assert farm.submit(HUB).job.id == first.id
    assert trusting.submit(HUB).job.id == free.id
    for each in (first, free):
        farm.cancel(each.id)
    with pytest.raises(SandboxUnavailable, match=f"submit --clone {first.id}"):
        trusting.retry(first.id)
    assert trusting.retry(free.id).state is JobState.QUEUED
    assert farm.retry(first.id).sandbox is SandboxMode.REQUIRED


def test_a_job_says_which_worker_it_waits_for(farm: LocalFarm, tmp_path: Path) -> None:
    job = farm.submit(HUB).job
    assert job.waits_for is None
    database = open_database(f"sqlite:///{tmp_path / 'home' / 'farm.db'}")
    workers.register(database, "open", str(identity.of_process()), confines=False)
    assert "a worker with a sandbox" in str(farm.job(job.id).waits_for)
    workers.register(database, "able", str(identity.of_process()))
    assert farm.job(job.id).waits_for is None
    database.close()


def test_a_model_that_is_not_there(farm: LocalFarm, folder: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        farm.submit(folder.model_copy(update={"model": str(tmp_path / "nowhere")}))
    (Path(folder.model) / "config.json").unlink()
    with pytest.raises(ModelEmpty):
        farm.submit(folder)
    assert farm.jobs() == []


def test_downloads_before_there_is_something(farm: LocalFarm, tmp_path: Path) -> None:
    job = farm.submit(HUB).job
    with pytest.raises(JobNotFinished):
        farm.download(job.id, ArtifactName.APK, tmp_path / "app.apk")
    farm.cancel(job.id)
    with pytest.raises(ArtifactMissing):
        farm.download(job.id, ArtifactName.APK, tmp_path / "app.apk")
    with pytest.raises(JobNotFound):
        farm.download("zzz", ArtifactName.APK, tmp_path / "app.apk")


def test_cancel_and_retry(farm: LocalFarm) -> None:
    job = farm.submit(HUB).job
    assert farm.cancel(job.id).state is JobState.CANCELLED
    assert farm.retry(job.id).state is JobState.QUEUED


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsInvalid, match="set FARM_HOME"):
        LocalFarm(Settings(home=tmp_path / "file" / "home")).jobs()


def test_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / "farm.db").write_bytes(b"\0" * 5000)
    with pytest.raises(DatabaseUnusable):
        LocalFarm(Settings(home=tmp_path)).jobs()


def test_the_home_is_its_owners(farm: LocalFarm, tmp_path: Path) -> None:
    farm.jobs()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
