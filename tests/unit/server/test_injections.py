"""S5: names that lead elsewhere, addresses that are not to be reached, and texts that pretend to be something else."""

from __future__ import annotations

import itertools
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from db.models import Base
from farm.access import Scope
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from server import addresses
from server.addresses import AddressRefused
from tests.integration.test_api_webhooks import PRIVATE

SECRET = "planted-secret-91ab"  # noqa: S105 # not a real one
EVERYTHING = (Scope.READ, Scope.SUBMIT, Scope.ADMIN)
PATHS = (
    "../{0}", "../../{0}", "../../../../../../../../{0}", "/{0}", "//{0}", "..\\{0}", "....//{0}", "%2e%2e/{0}",
    "..%2f{0}", "%252e%252e%252f{0}", "..%c0%af{0}", "./../{0}", "assets/../../{0}", "config.json/../../{0}",
    "config.json\x00{0}", "~/{0}", "$HOME/{0}", "file:///{0}", "C:\\{0}", "\\\\host\\{0}", "{0}/",
)  # fmt: skip
TEXTS = (
    "'; DROP TABLE jobs; --", "' OR '1'='1", "1; ATTACH DATABASE '/tmp/x' AS x", "') UNION SELECT hash FROM tokens --",
    "\" OR \"\"=\"", "%' OR 1=1 --", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{0.__class__.__mro__}", "%(secret)s",
    "$(touch /tmp/hostile-injected)", "`touch /tmp/hostile-injected`", "; touch /tmp/hostile-injected", "| id", "&& id",
    "a\r\nX-Injected: 1", "a\nSet-Cookie: x=1", "<script>alert(1)</script>", "@/etc/passwd", "--config=/etc/passwd",
    "\x1b]0;x\x07", "=cmd|' /C calc'!A0", "%n%n%s%s", "\u202etxt.exe", "-Dx=y", "@string/app_name",
)  # fmt: skip
FIELDS = ("label", "application_id", "prompt", "model", "token", "filter", "recipe", "template")


@pytest.mark.goal(id="S5")
def test_no_path_leads_elsewhere(api, trial, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    headers = api.headers(*EVERYTHING)
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en").model_dump(mode="json")
    job_id = api.client.post("/v1/jobs", headers=headers, json={"spec": spec}).json()["job"]["id"]
    before = sorted(path for path in tmp_path.rglob("*") if path.is_dir())
    asked, wrong = 0, []
    for pattern in PATHS:
        for name in (pattern.format(str(secret).lstrip("/")), pattern.format("secret.txt")):
            file = {"digest": "0" * 64, "size": 1}
            coded = quote(name, safe="")
            answers = {
                "file": api.client.post("/v1/models", headers=headers, json={"files": {name: file}}),
                "artifact": api.client.get(f"/v1/jobs/{job_id}/artifacts/{coded}", headers=headers),
                "log": api.client.get(f"/v1/jobs/{job_id}/logs", headers=headers, params={"after": f"{name}:0"}),
                "job": api.client.get(f"/v1/jobs/{coded}/events", headers=headers),
                "upload": api.client.get(f"/v1/uploads/{coded}", headers=headers),
            }
            asked += len(answers)
            wrong += [
                (kind, name, answer.status_code)
                for kind, answer in answers.items()
                if SECRET in answer.text or not 400 <= answer.status_code < 500
            ]
    trial.measured(f"{asked} paths that lead elsewhere: {len(wrong)} taken")
    assert wrong == []
    assert sorted(path for path in tmp_path.rglob("*") if path.is_dir()) == before


@pytest.mark.goal(id="S5")
def test_no_private_address_is_reached(trial) -> None:
    reached = []
    for address in PRIVATE:
        try:
            reached.append(addresses.resolve(address, 80, private=False))
        except AddressRefused:
            continue
    trial.measured(f"{len(PRIVATE)} addresses that are not public: {len(reached)} taken")
    assert reached == []


@pytest.mark.goal(id="S5")
def test_no_text_is_anything_but_text(api, trial) -> None:
    """Each is kept as it is, or refused: it is in no statement, template, command or header."""
    headers = api.headers(*EVERYTHING)
    marker = Path("/tmp/hostile-injected")  # noqa: S108 # what the texts would make
    asked, wrong = 0, []
    for text, field in itertools.product(TEXTS, FIELDS):
        spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en").model_dump(mode="json")
        spec["app"] |= {"label": f"job {asked}"}
        kept = ""
        if field in ("label", "application_id"):
            spec["app"][field] = kept = text
        elif field == "prompt":
            spec["app"]["prompts"] = [text]
        elif field == "template":
            spec["app"]["prompt_template"] = text
        elif field in ("model", "recipe"):
            spec[field] = text
        if field == "filter":
            answer = api.client.get("/v1/jobs", headers=headers, params={"model": text, "recipe": text})
        elif field == "token":
            answer = api.client.post("/v1/tokens", headers=headers, json={"name": text, "scopes": ["read"]})
        else:
            answer = api.client.post("/v1/jobs", headers=headers, json={"spec": spec})
        asked += 1
        taken = answer.status_code in (200, 201)
        said = answer.json()
        if (
            answer.status_code >= 500
            or {"x-injected", "set-cookie"} & set(answer.headers)
            or (field == "filter" and said.get("jobs", []))
            or (taken and kept and said["job"]["spec"]["app"][field] != text)
        ):
            wrong.append((field, text, answer.status_code))
    with api.database.read() as connection:
        tables = set(sa.inspect(connection).get_table_names())
    trial.measured(f"{asked} texts that pretend to be something else: {len(wrong)} taken for it")
    assert wrong == []
    assert tables >= set(Base.metadata.tables)
    assert not marker.exists()
