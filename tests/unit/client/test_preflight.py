"""What is refused before a job is queued."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from client import preflight
from client.local import LocalFarm
from farm import identity
from farm.appspec import AppSpec
from farm.errors import ContextTooLong, KeystorePasswordMissing, KeystoreUnusable, ModelEmpty, ModelNotFound
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from pipeline.android import keystore
from pipeline.android.keystore import SigningKey


def test_an_unknown_preset_is_refused_with_the_closest() -> None:
    with pytest.raises(ModelNotFound, match="did you mean gpt2_base_en"):
        preflight.check_preset(JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base"))
    preflight.check_preset(JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en"))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "task.weights.h5").write_bytes(b"of the head alone")
    spec = JobSpec(model_kind=ModelKind.FOLDER, model=str(tmp_path))
    with pytest.raises(ModelEmpty, match="holds no weights"):
        preflight.check_model(spec)
    (tmp_path / "model_00000.weights.h5").write_bytes(b"a part")
    preflight.check_model(spec)


def test_a_context_longer_than_the_model_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    config = {"class_name": "GPT2Backbone", "registered_name": "x", "config": {"max_sequence_length": 64}}
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.weights.h5").write_bytes(b"weights")
    farm = LocalFarm(Settings(home=tmp_path / "home"))
    spec = JobSpec(model_kind=ModelKind.FOLDER, model=str(model), context=65)
    with pytest.raises(ContextTooLong, match="at most 64"):
        farm.submit(spec)
    assert farm.jobs() == []
    assert farm.submit(spec.model_copy(update={"context": 64})).job.spec.context == 64


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Keystores that were opened, as password and alias; keytool is not run."""
    found: list[tuple[str, str | None]] = []

    def check(key: SigningKey) -> str:
        found.append((key.password.read_text(), key.alias()))
        if found[-1][0] != "right":
            raise KeystoreUnusable("The password is wrong.")
        return "me"

    monkeypatch.setattr(keystore, "check", check)
    monkeypatch.setattr(keystore, "check_key", lambda *_: None)
    return found


def app(tmp_path: Path, **changes: str) -> AppSpec:
    (tmp_path / "mine.p12").write_bytes(b"store")
    return AppSpec(keystore=str(tmp_path / "mine.p12"), **{"password_source": "env:SECRET", **changes})


def test_the_farms_own_key_needs_no_look(opened: list[tuple[str, str | None]]) -> None:
    preflight.check_signing(AppSpec(), ())
    assert opened == []


def test_a_keystore_is_opened_before_the_job_is_queued(tmp_path: Path, opened: list[tuple[str, str | None]]) -> None:
    preflight.check_signing(app(tmp_path, key_alias="me"), (), {"SECRET": "right"})
    assert opened == [("right", "me")]
    with pytest.raises(KeystoreUnusable, match="wrong"):
        preflight.check_signing(app(tmp_path), (), {"SECRET": "other"})
    with pytest.raises(KeystorePasswordMissing, match=r"env:SECRET.*farm submit and of the worker"):
        preflight.check_signing(app(tmp_path), (), {})


@pytest.mark.usefixtures("opened")
def test_a_worker_that_runs_has_the_variable_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is that of its start, so what was exported since is not in it."""
    me = str(identity.of_process())
    elsewhere = str(identity.ProcessIdentity("elsewhere", "boot", "namespace", os.getpid(), 1))
    preflight.check_signing(app(tmp_path), (elsewhere,), {"SECRET": "right"})
    with pytest.raises(KeystorePasswordMissing, match=f"process {os.getpid()}.*file:PATH"):
        preflight.check_signing(app(tmp_path), (elsewhere, me), {"SECRET": "right"})
    started_with = next(name for name in os.environ if os.environ[name])
    monkeypatch.setattr(keystore, "check", lambda _: "me")
    source = f"env:{started_with}"
    preflight.check_signing(app(tmp_path, password_source=source), (me,), {started_with: _at_start(started_with)})
    (tmp_path / "password").write_text("right")
    own = {"password_source": f"file:{tmp_path}/password", "key_password_source": "env:SECRET"}
    with pytest.raises(KeystorePasswordMissing, match=f"process {os.getpid()}.*file:PATH"):
        preflight.check_signing(app(tmp_path, **own), (me,), {"SECRET": "right"})
    preflight.check_signing(app(tmp_path, password_source=f"file:{tmp_path}/password"), (me,), {})


def _at_start(name: str) -> str:
    pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    found = next(each for each in pairs if each.startswith(name.encode() + b"="))
    return os.fsdecode(found.partition(b"=")[2])
