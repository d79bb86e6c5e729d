"""Models by upload: missing files only, resumed, checked, limited; a client's paths are never read here."""

from __future__ import annotations

import hashlib
import resource
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import transfers
from client.http import HttpFarm
from db import tokens, uploads
from farm import errors, sources
from farm.access import Quotas, Scope
from farm.appspec import AppSpec
from farm.artifacts import Artifact, ArtifactName
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind, ModelRef
from worker import reconciliation

CONFIG = b'{"registered_name": "keras_hub>GPT2Backbone"}'
BOTH = (Scope.SUBMIT, Scope.READ)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def folder_spec(folder: Path, **changes) -> JobSpec:
    return JobSpec(model_kind=ModelKind.FOLDER, model=str(folder), **changes)


def announce(api, headers, **files: bytes):
    listing = {name: {"digest": sha256(content), "size": len(content)} for name, content in files.items()}
    return api.client.post("/v1/models", headers=headers, json={"files": listing})


def send(api, headers, digest: str, content: bytes | Iterator[bytes], offset: int = 0):
    return api.client.patch(f"/v1/uploads/{digest}", headers={**headers, "Upload-Offset": str(offset)}, content=content)


def test_a_local_model_is_uploaded_and_named_by_its_digest(api, model_folder: Path) -> None:
    farm = api.farm(*BOTH)
    job = farm.submit(folder_spec(model_folder)).job
    assert (job.spec.model_kind, job.spec.model) == (ModelKind.UPLOADED, "story")
    assert job.spec.model_digest == sources.digest(ModelRef(ModelKind.FOLDER, str(model_folder)))
    assert farm.submit(folder_spec(model_folder)).reused
    source = Artifact(ArtifactName.SOURCE, job.spec.model_digest, 0)
    target = model_folder.parent / "out"
    api.state.store.materialise(source, target, protected=False)
    assert sources.digest(ModelRef(ModelKind.FOLDER, str(target))) == job.spec.model_digest


def test_only_what_is_missing_is_sent(api, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    farm = api.farm(*BOTH)
    farm.submit(folder_spec(model_folder))
    (model_folder / "config.json").write_bytes(CONFIG + b" ")
    sent = []
    upload = transfers.upload
    monkeypatch.setattr(transfers, "upload", lambda http, name, *rest: sent.append(name) or upload(http, name, *rest))
    assert not farm.submit(folder_spec(model_folder)).reused
    assert sent == ["config.json"]


def test_a_keras_file(api, tmp_path: Path) -> None:
    path = tmp_path / "poem.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    job = api.farm(*BOTH).submit(JobSpec(model_kind=ModelKind.KERAS_FILE, model=str(path))).job
    assert (job.spec.model_kind, job.spec.model) == (ModelKind.UPLOADED, "poem")


def test_an_adapter_is_uploaded_with_its_base(api, model_folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "mine.lora.h5"
    adapter.write_bytes(b"adapter")
    farm = api.farm(*BOTH)
    job = farm.submit(folder_spec(model_folder, lora=str(adapter))).job
    reference = ModelRef(ModelKind.FOLDER, str(model_folder), str(adapter))
    assert (job.spec.lora, job.spec.model_digest) == ("mine.lora.h5", sources.digest(reference))
    assert farm.submit(folder_spec(model_folder, lora=str(adapter))).reused
    assert not farm.submit(folder_spec(model_folder)).reused
    api.state.store.materialise(
        Artifact(ArtifactName.SOURCE, job.spec.model_digest, 0), tmp_path / "out", protected=False
    )
    assert (tmp_path / "out" / "adapter" / "adapter.lora.h5").read_bytes() == b"adapter"
    base = tmp_path / "poem.keras"
    base.write_bytes(b"PK")
    spec = JobSpec(model_kind=ModelKind.KERAS_FILE, model=str(base), lora=str(adapter))
    assert farm.submit(spec).job.spec.lora == "mine.lora.h5"


def test_an_adapter_for_a_model_on_a_hub_is_not_read_from_here(api, tmp_path: Path) -> None:
    (tmp_path / "mine.lora.h5").write_bytes(b"adapter")
    spec = JobSpec(model_kind=ModelKind.HUGGINGFACE, model="hf://org/name", lora=str(tmp_path / "mine.lora.h5"))
    with pytest.raises(errors.AdapterUnusable, match="download the base"):
        api.farm(*BOTH).submit(spec)


def test_a_path_of_the_server_is_never_read(api, model_folder: Path) -> None:
    """The folder exists here too, and still only what was uploaded counts."""
    headers = api.headers(*BOTH)
    digest = sources.digest(ModelRef(ModelKind.FOLDER, str(model_folder)))
    for kind in ("folder", "keras", "uploaded"):
        for named in (None, digest, "0" * 64, "../../etc/passwd"):
            spec = {"model_kind": kind, "model": str(model_folder), "model_digest": named}
            answer = api.client.post("/v1/jobs", headers=headers, json={"spec": spec})
            assert (answer.status_code, answer.json()["code"]) == (422, "model-not-found")


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("preset", "../secrets"),
        ("preset", "/etc/passwd"),
        ("kaggle", "/etc/passwd"),
        ("kaggle", "kaggle://../../etc"),
        ("hf", "hf:///etc/passwd"),
        ("hf", "file:///etc/passwd"),
    ],
)
def test_references_that_are_none(api, kind: str, model: str) -> None:
    answer = api.client.post(
        "/v1/jobs", headers=api.headers(Scope.SUBMIT), json={"spec": {"model_kind": kind, "model": model}}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "model-not-found")


def test_a_keystore_or_password_of_the_server_is_never_read(api) -> None:
    farm = api.farm(*BOTH)
    for given in ({"keystore": "/etc/key.p12"}, {"password_source": "file:/etc/passwd"}, {"key_alias": "mine"}):
        with pytest.raises(errors.KeystoreUnusable):
            farm.submit(JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en", app=AppSpec(**given)))


def test_an_aar_of_the_server_is_never_read(api) -> None:
    spec = JobSpec(model_kind=ModelKind.PRESET, model="x", io_mode=IoMode.STRINGS, app=AppSpec(aar="file:/etc/passwd"))
    with pytest.raises(errors.AarUnusable, match="reads no file of yours"):
        api.farm(*BOTH).submit(spec)


def test_an_upload_goes_on_where_it_ended(api) -> None:
    headers, content = api.headers(Scope.SUBMIT), b"0123456789" * 1000
    digest = sha256(content)
    missing = announce(api, headers, **{"model.keras": content}).json()
    assert missing["missing"] == [{"digest": digest, "size": 10_000, "offset": 0}]
    assert send(api, headers, digest, content[:4000]).headers["upload-offset"] == "4000"
    assert announce(api, headers, **{"model.keras": content}).json()["missing"][0]["offset"] == 4000
    refused = send(api, headers, digest, content[:4000])
    assert (refused.status_code, refused.json()["code"]) == (409, "upload-conflict")
    assert api.client.get(f"/v1/uploads/{digest}", headers=headers).json()["offset"] == 4000
    assert send(api, headers, digest, content[4000:], 4000).headers["upload-offset"] == "10000"
    complete = announce(api, headers, **{"model.keras": content}).json()
    assert (complete["complete"], complete["missing"]) == (True, [])
    assert send(api, headers, digest, content).status_code == 204


def test_wrong_bytes_are_refused_and_forgotten(api) -> None:
    headers, content = api.headers(Scope.SUBMIT), b"right"
    announce(api, headers, **{"model.keras": content})
    refused = send(api, headers, sha256(content), b"wrong")
    assert (refused.status_code, refused.json()["code"]) == (422, "artifact-damaged")
    assert send(api, headers, sha256(content), content).status_code == 204


def test_two_uploads_of_one_file_at_once(api) -> None:
    headers, content = api.headers(Scope.SUBMIT), b"right"
    announce(api, headers, **{"model.keras": content})
    uploading = api.state.uploads
    record = uploading_record(api, headers, content)
    with uploading.writing(record, 0):
        refused = send(api, headers, record.digest, content)
        assert (refused.status_code, refused.json()["code"]) == (409, "upload-conflict")
    assert send(api, headers, record.digest, content).status_code == 204


def uploading_record(api, headers: dict[str, str], content: bytes):
    token = tokens.recognise(api.database, headers["Authorization"].removeprefix("Bearer "))
    assert token is not None
    return uploads.find(api.database, token, sha256(content))


def test_what_was_not_announced_is_not_taken(api) -> None:
    assert send(api, api.headers(Scope.SUBMIT), "0" * 64, b"x").status_code == 404


def test_names_that_no_model_has(api) -> None:
    headers = api.headers(Scope.SUBMIT)
    for name in ("../config.json", "/etc/passwd", "config.json/../x", "run.py", "assets/tokenizer/../../x"):
        refused = announce(api, headers, **{"config.json": CONFIG, name: b"x"})
        assert (refused.status_code, refused.json()["code"]) == (422, "model-unsafe"), name
    assert announce(api, headers, **{"tokenizer.json": b"x"}).json()["code"] == "model-empty"
    assert announce(api, headers, **{"model.keras": b"x", "config.json": CONFIG}).json()["code"] == "model-unsafe"


def test_too_large_a_model_is_refused_before_a_byte_is_sent(api) -> None:
    listing = {"model.keras": {"digest": "0" * 64, "size": 50_000_001}}
    refused = api.client.post("/v1/models", headers=api.headers(Scope.SUBMIT), json={"files": listing})
    assert (refused.status_code, refused.json()["code"]) == (413, "upload-too-large")


@pytest.mark.parametrize("honest", [True, False])
def test_more_bytes_than_announced(api, honest: bool) -> None:
    """S11: refused by the length that is given, or, when none is, as soon as there are too many; memory stays flat."""
    headers = api.headers(Scope.SUBMIT)
    announce(api, headers, **{"model.keras": b"x" * 1000})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = bytes(1 << 20)

    def endless() -> Iterator[bytes]:
        for _ in range(300):
            yield chunk

    more = {**headers, "Content-Length": str(300 << 20)} if honest else headers
    refused = send(api, more, sha256(b"x" * 1000), b"x" * 2000 if honest else endless())
    assert (refused.status_code, refused.json()["code"]) == (413, "upload-too-large")
    assert api.state.uploads.offset(uploading_record(api, headers, b"x" * 1000)) <= 1000
    if honest:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 100 << 10


def test_a_large_body_elsewhere(api) -> None:
    headers = {**api.headers(Scope.SUBMIT), "Content-Type": "application/json"}
    refused = api.client.post("/v1/jobs", headers=headers, content=b" " * ((1 << 20) + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "upload-too-large")

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    assert api.client.post("/v1/jobs", headers=headers, content=chunks()).status_code == 413


def test_quota_of_bytes(api) -> None:
    headers = api.headers(Scope.SUBMIT, quotas=Quotas(max_bytes=10))
    assert announce(api, headers, **{"model.keras": b"x" * 10}).status_code == 200
    assert announce(api, headers, **{"model.keras": b"x" * 10}).status_code == 200
    refused = announce(api, headers, **{"model.keras": b"y"})
    assert (refused.status_code, refused.json()["code"]) == (429, "quota-exceeded")
    assert announce(api, api.headers(Scope.SUBMIT), **{"model.keras": b"y"}).status_code == 200


def test_a_worker_that_cleans_up_leaves_uploads_alone(api, model_folder: Path) -> None:
    headers, content = api.headers(Scope.SUBMIT), b"half a model"
    job = api.farm(*BOTH).submit(folder_spec(model_folder)).job
    announce(api, headers, **{"model.keras": content})
    send(api, headers, sha256(content), content)
    found = reconciliation.register_and_reconcile(
        api.state.settings, api.database, api.state.store, "worker", confines=True
    )
    assert found.unreferenced_files == 0
    assert api.state.store.has(Artifact(ArtifactName.SOURCE, job.spec.model_digest, 0))
    assert announce(api, headers, **{"model.keras": content}).json()["complete"]


def test_a_file_that_the_store_lost_is_asked_for_again(api, model_folder: Path) -> None:
    farm = api.farm(*BOTH)
    farm.submit(folder_spec(model_folder))
    (api.state.settings.store / "blobs" / sha256(CONFIG)).unlink()
    farm.submit(folder_spec(model_folder))
    assert (api.state.settings.store / "blobs" / sha256(CONFIG)).read_bytes() == CONFIG


def test_http_farm_is_what_uploads(api, tmp_path: Path) -> None:
    """From the middle on, as after a cut."""
    content = bytes(range(256)) * 8000
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    secret = api.secret(Scope.SUBMIT)
    headers = {"Authorization": f"Bearer {secret}"}
    announce(api, headers, **{"model.keras": content})
    send(api, headers, sha256(content), content[:1_000_000])
    with path.open("rb") as stream:
        http = HttpFarm("http://testserver", secret, api.client)
        transfers.upload(http, "model.keras", stream, sha256(content), 0)
    assert announce(api, headers, **{"model.keras": content}).json()["complete"]
