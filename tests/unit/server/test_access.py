"""Every endpoint with every scope and none; tokens are kept as hashes only; quotas."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from db import claims, jobs, tokens
from farm.access import Quotas, Scope
from farm.errors import NotAuthenticated, QuotaExceeded, TokenNotFound
from farm.jobspec import JobSpec
from farm.modelref import ModelKind

# Written out and not read from the document: a route that forgot its scope must be seen here.
NEEDED: dict[str, Scope | None] = {
    "submit": Scope.SUBMIT,
    "list_jobs": Scope.READ,
    "get_job": Scope.READ,
    "get_events": Scope.READ,
    "cancel_job": Scope.SUBMIT,
    "delete_job": Scope.SUBMIT,
    "retry_job": Scope.SUBMIT,
    "import_measurement": Scope.SUBMIT,
    "get_logs": Scope.READ,
    "stream_logs": Scope.READ,
    "get_artifact": Scope.READ,
    "announce_model": Scope.SUBMIT,
    "get_upload": Scope.SUBMIT,
    "send_upload": Scope.SUBMIT,
    "list_tokens": Scope.ADMIN,
    "create_token": Scope.ADMIN,
    "revoke_token": Scope.ADMIN,
    "get_queue": Scope.READ,
    "list_workers": Scope.READ,
    "list_recipes": Scope.READ,
    "get_metrics": Scope.READ,
    "get_own_token": None,
}
OPEN = {"get_live", "get_ready"}
VALUES = {"job_id": "abc", "name": "app.apk", "digest": "0" * 64, "token_id": "abcdefghij"}
ROLES = [frozenset(chosen) for size in range(4) for chosen in itertools.combinations(Scope, size)]


def spec(model: str = "gpt2_base_en") -> JobSpec:
    return JobSpec(model_kind=ModelKind.HUGGINGFACE, model=f"hf://org/{model}")


def operations(document) -> dict[str, tuple[str, str]]:
    return {
        operation["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_names_every_route_and_its_scope(api) -> None:
    document = api.client.get("/openapi.json").json()
    assert set(operations(document)) == set(NEEDED) | OPEN
    for name, (method, path) in operations(document).items():
        security = document["paths"][path][method].get("security")
        if name in OPEN:
            assert security is None
        else:
            needed = NEEDED[name]
            assert security == [{"token": [needed.value] if needed else []}]


@pytest.mark.goal(id="S12")
def test_the_matrix_of_roles_and_endpoints(api, trial) -> None:
    """Every endpoint of the document times no token, a wrong one, a revoked one and each set of scopes."""
    document = api.client.get("/openapi.json").json()
    revoked = tokens.create(api.database, "revoked", list(Scope), Quotas())
    tokens.revoke(api.database, revoked.token.id)
    callers: list[tuple[frozenset[Scope] | None, dict[str, str]]] = [
        (None, {}),
        (None, {"Authorization": "Bearer farm_wrong"}),
        (None, {"Authorization": f"Bearer {revoked.secret}"}),
        (None, {"Authorization": f"Basic {revoked.secret}"}),
        *((role, api.headers(*role)) for role in ROLES),
    ]
    wrong = []
    for (name, (method, path)), (role, headers) in itertools.product(operations(document).items(), callers):
        url = re.sub(r"\{(\w+)\}", lambda match: VALUES[match[1]], path)
        status = api.client.request(method, url, headers=headers).status_code
        needed = NEEDED.get(name)
        if name in OPEN:
            right = status == 200
        elif role is None:
            right = status == 401
        elif needed is None or needed in role or Scope.ADMIN in role:
            right = status not in (401, 403) and status < 500
        else:
            right = status == 403
        if not right:
            wrong.append((name, role, status))
    endpoints = len(operations(document))
    trial.measured(f"{endpoints} endpoints times {len(callers)} callers: {len(wrong)} wrong answers")
    assert len(callers) == 12
    assert wrong == []


@pytest.mark.goal(id="S12")
def test_the_secret_is_nowhere_in_the_database(api, tmp_path: Path, trial) -> None:
    made = api.client.post(
        "/v1/tokens", headers=api.headers(Scope.ADMIN), json={"name": "phone", "scopes": ["read"]}
    ).json()
    secret = made["secret"]
    assert re.fullmatch(r"farm_[A-Za-z0-9_-]{43}", secret)
    recognised = tokens.recognise(api.database, secret)
    assert recognised is not None
    assert recognised.id == made["token"]["id"]
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert any(path.name == "farm.db" for path in files)
    random_part = secret.removeprefix("farm_").encode()
    found = [path.name for path in files if random_part in path.read_bytes()]
    trial.measured(f"a token's secret is in {len(found)} of {len(files)} files of the farm")
    assert found == []


def test_secrets_differ() -> None:
    # 256 bits in base64 without padding are 43 characters.
    assert tokens.SECRET_BYTES * 8 == 256


def test_revoking_ends_a_token_at_once(api) -> None:
    admin = api.headers(Scope.ADMIN)
    made = api.client.post("/v1/tokens", headers=admin, json={"name": "x", "scopes": ["read"]}).json()
    reader = {"Authorization": f"Bearer {made['secret']}"}
    assert api.client.get("/v1/queue", headers=reader).status_code == 200
    path = f"/v1/tokens/{made['token']['id']}"
    first = api.client.delete(path, headers=admin).json()
    assert first["revoked_at"] is not None
    assert api.client.get("/v1/queue", headers=reader).status_code == 401
    assert api.client.delete(path, headers=admin).json() == first
    assert api.client.delete("/v1/tokens/abcdefghij", headers=admin).json()["code"] == TokenNotFound.code()


def test_an_answer_without_token_says_how_to_get_one(api) -> None:
    answer = api.client.get("/v1/jobs")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == NotAuthenticated.code()
    assert "farm login" in answer.json()["detail"]


def test_quota_of_queued_jobs(api) -> None:
    farm = api.farm(Scope.SUBMIT, Scope.READ, quotas=Quotas(max_queued=2))
    ids = [farm.submit(spec(f"model_{number}")).job.id for number in range(2)]
    with pytest.raises(QuotaExceeded, match="may have no more"):
        farm.submit(spec("model_2"))
    assert len(farm.jobs()) == 2
    assert farm.submit(spec("model_0")).reused
    assert not api.farm(Scope.SUBMIT).submit(spec("model_2")).reused
    farm.cancel(ids[0])
    farm.submit(spec("model_3"))
    with pytest.raises(QuotaExceeded):
        farm.retry(ids[0])
    assert farm.job(ids[0]).state == "cancelled"


def test_quota_of_running_jobs_lets_others_pass(api) -> None:
    limited = api.farm(Scope.SUBMIT, Scope.READ, quotas=Quotas(max_running=1))
    first, second = (limited.submit(spec(f"model_{number}")).job.id for number in range(2))
    other = api.farm(Scope.SUBMIT).submit(spec("other")).job.id
    held = claims.claim(api.database, "worker", 60)
    assert held is not None
    assert held.job_id == first
    following = claims.claim(api.database, "worker", 60)
    assert following is not None
    assert following.job_id == other
    assert claims.claim(api.database, "worker", 60) is None
    with api.database.write() as connection:
        claims.finish(connection, held)
    last = claims.claim(api.database, "worker", 60)
    assert last is not None
    assert last.job_id == second


def test_a_job_of_this_machine_belongs_to_nobody(api) -> None:
    api.state.farm.submit(spec())
    with api.database.read() as connection:
        assert tokens.at_running_limit(connection) == []
        assert len(jobs.newest(connection, (), None, None, 5)) == 1
