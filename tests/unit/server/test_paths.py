"""Nothing that a client elsewhere is told names a folder of the farm's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from db import claims, stages
from farm.access import Scope
from farm.errors import DiskFull, ModelDamaged
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import StageName
from server.paths import PathHider

BOTH = (Scope.SUBMIT, Scope.READ)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "The model's {home}/work/w/j.1/check/inputs/source/config.json is no JSON.",
            "The model's config.json is no JSON.",
        ),
        ("less than 256 MiB are free in {home}/work; free some.", "less than 256 MiB are free in work; free some."),
        ("'{home}/store/blobs/ab', ({home}).", "'ab', (farm-home)."),
        ("Look at https://example.org{home}/x and my{home}/y.", "Look at https://example.org{home}/x and my{home}/y."),
        ("Nothing of it: /usr/bin/java.", "Nothing of it: /usr/bin/java."),
        ("{home}elsewhere/x stays.", "{home}elsewhere/x stays."),
    ],
)
def test_folders_of_the_farm_are_left_out(text: str, told: str) -> None:
    home = Path("/srv/farm-home")
    assert PathHider(Settings(home=home)).text(text.format(home=home)) == told.format(home=home)


def test_a_failed_job_names_no_folder(api) -> None:
    headers, home = api.headers(*BOTH), str(api.state.settings.home)
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en").model_dump(mode="json")
    job_id = api.client.post("/v1/jobs", headers=headers, json={"spec": spec}).json()["job"]["id"]
    held = claims.claim(api.database, "w" * 10, 60)
    assert held is not None
    error = ModelDamaged(f"The model's {home}/work/w/j/check/inputs/source/config.json is not valid JSON.")
    stages.skip(api.database, held, StageName.PACKAGE, f"It lies in {home}/caches.")
    stages.fail(api.database, held, StageName.FETCH, error, 1.0, None)
    claims.fail(api.database, held, error, 1)
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/events", "/v1/jobs"):
        answer = api.client.get(path, headers=headers)
        assert home not in answer.text
        assert "config.json" in answer.text


def test_an_error_of_the_request_names_none(api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_keywords: object) -> None:
        raise DiskFull(f"The disk of {api.state.settings.home} is full; free some room.")

    monkeypatch.setattr(type(api.state.farm), "job", full)
    answer = api.client.get("/v1/jobs/abcdefghij", headers=api.headers(Scope.ADMIN))
    assert str(api.state.settings.home) not in answer.text
