"""What an uploaded model's metadata ask for holds in a plain request too, wherever the request leaves it open."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from farm.access import Scope

BOTH = (Scope.SUBMIT, Scope.READ)
CONFIG = b'{"registered_name": "keras_hub>GPT2Backbone"}'
ASKED = {"recipe": "int8", "context": 64, "label": "Story", "abis": ["x86_64"], "filter": False, "mode": "instruct"}


@pytest.fixture
def headers(api) -> dict[str, str]:
    return api.headers(*BOTH)


def upload(api, headers, files: dict[str, bytes]) -> str:
    """The digest of a model of these files."""
    listing = {
        name: {"digest": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in files.items()
    }
    api.client.post("/v1/models", headers=headers, json={"files": listing})
    for name, content in files.items():
        path = f"/v1/uploads/{listing[name]['digest']}"
        api.client.patch(path, headers={**headers, "Upload-Offset": "0"}, content=content)
    announced = api.client.post("/v1/models", headers=headers, json={"files": listing}).json()
    assert announced["complete"]
    return announced["digest"]


def folder(metadata: Any) -> dict[str, bytes]:
    return {"config.json": CONFIG, "metadata.json": json.dumps(metadata).encode(), "model.weights.h5": b"weights"}


def keras_file(metadata: Any) -> dict[str, bytes]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", json.dumps(metadata))
    return {"model.keras": content.getvalue()}


def submit(api, headers, digest: str, **spec: Any) -> Any:
    given = {"model_kind": "uploaded", "model": "story", "model_digest": digest, **spec}
    return api.client.post("/v1/jobs", headers=headers, json={"spec": given})


@pytest.mark.parametrize("form", [folder, keras_file])
def test_a_plain_request_gets_what_the_model_asks_for(api, headers, form) -> None:
    answer = submit(api, headers, upload(api, headers, form({"farm": ASKED})))
    assert answer.status_code == 201
    spec = answer.json()["job"]["spec"]
    assert (spec["recipe"], spec["context"]) == ("dynamic_wi8_afp32_rotated", 64)
    app = spec["app"]
    assert (app["label"], app["abis"], app["filter"]) == ("Story", ["x86_64"], False)
    assert app["mode"] is None, "the conversion takes it from the metadata"


def test_what_the_request_says_goes_first_also_where_it_is_the_default(api, headers) -> None:
    digest = upload(api, headers, folder({"farm": ASKED}))
    spec = submit(api, headers, digest, recipe="none", app={"filter": True}).json()["job"]["spec"]
    assert (spec["recipe"], spec["context"]) == ("none", 64)
    assert (spec["app"]["label"], spec["app"]["filter"]) == ("Story", True)


def test_a_whole_spec_is_taken_as_it_is(api, headers) -> None:
    """What `farm submit` sends, which has read the metadata of the folder itself."""
    digest = upload(api, headers, folder({"farm": ASKED}))
    plain = submit(api, headers, upload(api, headers, folder({}))).json()["job"]["spec"]
    assert submit(api, headers, digest, **plain | {"model_digest": digest}).json()["job"]["spec"]["recipe"] == "none"


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"farm": {"recipe": "int9"}}, "int9"),
        ({"farm": {"recepie": "int8"}}, "did you mean recipe"),
        ({"farm": {"keystore": "/etc/passwd"}}, "may not do"),
        ({"farm": {"ops": "flex"}}, "may not do"),
        ({"farm": {"context": 3}}, "too short"),
        ({"farm": {"context": 1 << 30}}, "too long"),
        ({"farm": [1]}, "no table"),
        ("", None),
    ],
)
def test_the_rules_are_those_of_submit(api, headers, metadata: Any, sentence: str | None) -> None:
    answer = submit(api, headers, upload(api, headers, folder(metadata)))
    assert (answer.status_code == 422) == (sentence is not None)
    assert sentence is None or sentence in answer.json()["detail"]


def test_a_damaged_upload_is_refused_with_its_sentence(api, headers) -> None:
    answer = submit(api, headers, upload(api, headers, {"model.keras": b"PK\x03\x04" + b"x" * 100}))
    assert (answer.status_code, answer.json()["code"]) == (422, "model-damaged")
    assert "no whole .keras file" in answer.json()["detail"]
