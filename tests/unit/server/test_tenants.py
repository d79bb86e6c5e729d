"""A8: a token sees, changes and deduces nothing of another's jobs, artifacts, models and uploads."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

import pytest
from sqlalchemy.engine import Connection

from client.protocol import JobView
from db import claims, jobs, stages, tokens, workers
from db.jobs import Submitted
from db.records import ResultRecord
from farm import identity
from farm.access import Quotas, Scope, TokenView
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from farm.states import StageState
from server.settings import ServerSettings

BOTH = (Scope.SUBMIT, Scope.READ)
SPEC = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")
# Every endpoint that names a job, with the status for whoever may see it.
OF_A_JOB = {
    ("GET", "/v1/jobs/{id}"): 200,
    ("GET", "/v1/jobs/{id}/events"): 200,
    ("GET", "/v1/jobs/{id}/logs"): 200,
    ("GET", "/v1/jobs/{id}/logs/stream"): 200,
    ("GET", "/v1/jobs/{id}/artifacts/report.json"): 409,
    ("POST", "/v1/jobs/{id}/retry"): 409,
    ("POST", "/v1/jobs/{id}/cancel"): 200,
}


@pytest.fixture
def server_settings() -> ServerSettings:
    return ServerSettings(embedded_worker=False, stream_seconds=0.05, webhook_poll=0.05)


def submit(api, headers: dict[str, str], spec: JobSpec = SPEC) -> tuple[int, str]:
    answer = api.client.post("/v1/jobs", headers=headers, json={"spec": spec.model_dump(mode="json")})
    assert answer.status_code in (200, 201), answer.text
    return answer.status_code, answer.json()["job"]["id"]


@pytest.mark.goal(id="A8")
def test_the_matrix_of_roles_owners_and_endpoints(api, trial) -> None:
    """Every set of scopes, no token and a revoked one, each with a job of its own and another's."""
    revoked = tokens.create(api.database, "revoked", list(Scope), Quotas())
    tokens.revoke(api.database, revoked.token.id)
    callers: list[tuple[str, frozenset[Scope] | None, TokenView, str]] = []
    sets: tuple[tuple[Scope, ...], ...] = ((), (Scope.READ,), (Scope.SUBMIT,), BOTH, (Scope.ADMIN,))
    for each in sets:
        made = tokens.create(api.database, "one", each, Quotas())
        callers.append(("+".join(each) or "no scope", frozenset(each), made.token, made.secret))
    callers += [("revoked", None, revoked.token, revoked.secret), ("unknown", None, revoked.token, "farm_wrong")]
    stranger = tokens.create(api.database, "stranger", BOTH, Quotas()).token
    asked, wrong = 0, []
    for ((method, path), usual), (name, scopes, own, secret) in itertools.product(OF_A_JOB.items(), callers):
        needed = Scope.READ if method == "GET" else Scope.SUBMIT
        for owner in (own, stranger):
            job_id = owned_job(api, owner, f"{asked}")
            answer = api.client.request(method, path.format(id=job_id), headers={"Authorization": f"Bearer {secret}"})
            admin = scopes is not None and Scope.ADMIN in scopes
            if scopes is None:
                right = 401
            elif not admin and needed not in scopes:
                right = 403
            else:
                right = usual if admin or owner == own else 404
            asked += 1
            if answer.status_code != right:
                wrong.append((method, path, name, owner == own, answer.status_code, right))
    trial.measured(f"{asked} answers over roles, endpoints and owners: {len(wrong)} wrong")
    assert wrong == []


def owned_job(api, token: TokenView, label: str) -> str:
    def own(connection: Connection, submitted: Submitted) -> None:
        tokens.own_job(connection, token, submitted.job_id)

    return jobs.submit(api.database, SPEC, label, [StageName.FETCH], lambda _artifacts: True, own).job_id


@pytest.mark.parametrize(("method", "path"), list(OF_A_JOB))
def test_the_matrix_of_owners_and_endpoints(api, method: str, path: str) -> None:
    owner, other, admin = api.headers(*BOTH), api.headers(*BOTH), api.headers(Scope.ADMIN)
    made: list[str] = []
    for role, visible in ((owner, True), (admin, True), (other, False)):
        _, job_id = submit(api, owner, SPEC.model_copy(update={"context": 64 + len(made)}))
        made.append(job_id)
        for name in (job_id, job_id[:6]):
            answer = api.client.request(method, path.format(id=name), headers=role)
            if visible:
                assert answer.status_code == OF_A_JOB[method, path] or method == "POST", (path, answer.text)
                assert answer.status_code != 404
            else:
                missing = api.client.request(method, path.format(id="zzzzzzzzzz"), headers=role)
                assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")
                assert answer.json() == {**missing.json(), "detail": answer.json()["detail"]}
                assert answer.json()["detail"].replace(name, "zzzzzzzzzz") == missing.json()["detail"]


def test_lists_and_counts_hold_only_what_is_ones_own(api) -> None:
    owner, other, admin = api.headers(*BOTH), api.headers(*BOTH), api.headers(Scope.ADMIN)
    _, job_id = submit(api, owner)

    def seen(headers: dict[str, str]) -> tuple[list[str], int]:
        listed = api.client.get("/v1/jobs", headers=headers).json()["jobs"]
        return [job["id"] for job in listed], api.client.get("/v1/queue", headers=headers).json()["queued"]

    assert seen(owner) == seen(admin) == ([job_id], 1)
    assert seen(other) == ([], 0)
    assert api.client.get("/metrics", headers=other).status_code == 403
    assert api.client.get("/metrics", headers=admin).status_code == 200
    assert api.client.get(f"/v1/jobs?before={job_id}", headers=other).json()["code"] == "job-not-found"


def test_others_jobs_move_neither_a_place_in_the_queue_nor_a_list_of_workers(api) -> None:
    one, other, admin = api.headers(*BOTH), api.headers(*BOTH), api.headers(Scope.ADMIN)
    _, first = submit(api, one)
    _, second = submit(api, other)
    _, third = submit(api, other, SPEC.model_copy(update={"context": 64}))

    def place(headers: dict[str, str], job_id: str) -> tuple[int, float | None]:
        job = api.client.get(f"/v1/jobs/{job_id}", headers=headers).json()
        listed = next(
            each for each in api.client.get("/v1/jobs", headers=headers).json()["jobs"] if each["id"] == job_id
        )
        assert (listed["position"], listed["seconds_left"]) == (job["position"], job["seconds_left"])
        return job["position"], job["seconds_left"]

    assert [place(admin, each)[0] for each in (first, second, third)] == [0, 1, 2]
    assert place(one, first) == (0, None)
    assert [place(other, each) for each in (second, third)] == [(0, None), (1, None)]
    workers.register(api.database, "w" * 10, str(identity.of_process()))
    assert claims.claim(api.database, "w" * 10, 60) is not None
    assert len(api.client.get("/v1/workers", headers=admin).json()) == 1
    assert len(api.client.get("/v1/workers", headers=one).json()) == 1
    assert api.client.get("/v1/workers", headers=other).json() == []
    # The one that is at work now takes no place before another's.
    assert place(other, second) == (0, None)


def test_equal_jobs_are_reused_within_a_token_and_not_across(api) -> None:
    owner, other = api.headers(*BOTH), api.headers(*BOTH)
    status, first = submit(api, owner)
    assert (status, submit(api, owner)) == (201, (200, first))
    status, second = submit(api, other)
    assert status == 201
    assert second != first


def test_work_is_shared_without_a_word(api) -> None:
    """The second job uses the first one's result, and does not say that somebody had it."""
    record = ResultRecord("k" * 64, StageName.CHECK, 1.5, None, (), {})

    def run(headers: dict[str, str], spec: JobSpec, *, reused: bool) -> JobView:
        submit(api, headers, spec)
        held = claims.claim(api.database, "w" * 10, 60)
        assert held is not None
        stages.succeed(api.database, held, record, [], reused=reused)
        return api.state.farm.job(held.job_id)

    def state(job: JobView) -> StageState:
        return next(stage.state for stage in job.stages if stage.name is StageName.CHECK)

    owner, other = api.headers(*BOTH), api.headers(*BOTH)
    assert state(run(owner, SPEC, reused=False)) is StageState.SUCCEEDED
    strange = run(other, SPEC, reused=True)
    assert state(strange) is StageState.SUCCEEDED
    assert "reused" not in str(api.client.get(f"/v1/jobs/{strange.id}/events", headers=other).json())
    again = SPEC.model_copy(update={"context": 128})
    assert state(run(owner, again, reused=True)) is StageState.REUSED


def test_uploads_tell_nothing_of_anothers(api) -> None:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    files = {"files": {"model.keras": {"digest": digest, "size": len(content)}}}
    owner, other = api.headers(*BOTH), api.headers(*BOTH)

    def send(headers: dict[str, str]) -> int:
        offset = {"Upload-Offset": "0", "Content-Type": "application/octet-stream"}
        url = f"/v1/uploads/{digest}"
        return api.client.patch(url, headers={**headers, **offset}, content=content).status_code

    wrong = {"files": {"model.keras": {"digest": digest, "size": 3}}}
    assert api.client.post("/v1/models", headers=other, json=wrong).json()["missing"]
    assert api.client.post("/v1/models", headers=owner, json=files).json()["missing"]
    assert send(owner) == 204
    model = api.client.post("/v1/models", headers=owner, json=files).json()
    assert model["complete"]
    spec = JobSpec(model_kind=ModelKind.UPLOADED, model="story", model_digest=model["digest"])
    assert submit(api, owner, spec)[0] == 201

    refused = api.client.post("/v1/jobs", headers=other, json={"spec": spec.model_dump(mode="json")})
    assert refused.json()["code"] == "model-not-found"
    # The wrong size of before is corrected, and the file has to come although the store holds its content.
    announced = api.client.post("/v1/models", headers=other, json=files).json()
    assert announced["missing"] == [{"digest": digest, "size": len(content), "offset": 0}]
    assert send(other) == 204
    assert api.client.post("/v1/models", headers=other, json=files).json()["complete"]


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\ud800b"])
def test_texts_that_no_database_takes(api, text: str) -> None:
    headers = {**api.headers(Scope.ADMIN), "Content-Type": "application/json"}
    bodies = {
        "/v1/tokens": '{"name": "%s", "scopes": ["read"]}',
        "/v1/jobs": '{"spec": {"model_kind": "preset", "model": "x", "app": {"label": "%s"}}}',
        "/v1/models": '{"files": {"%s": {"digest": "x", "size": 1}}}',
        "/v1/measurements": '{"measurement": {"%s": 1}}',
    }
    for path, body in bodies.items():
        answer = api.client.post(path, headers=headers, content=(body % text).encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "usage-error"), (path, answer.text)
        assert "half a character" in answer.json()["detail"]


def test_a_shared_farm_shows_all_to_all(api) -> None:
    shared = replace(api.state, server=ServerSettings(embedded_worker=False, shared=True))
    api.client.app.state.farm = shared
    _, job_id = submit(api, api.headers(*BOTH))
    assert api.client.get(f"/v1/jobs/{job_id}", headers=api.headers(Scope.READ)).status_code == 200
    assert submit(api, api.headers(*BOTH)) == (200, job_id)


def test_a_log_page_is_limited_in_bytes(api) -> None:
    owner = api.headers(*BOTH)
    _, job_id = submit(api, owner)
    folder = api.state.settings.logs / job_id
    folder.mkdir(parents=True)
    (folder / "00-fetch.1.log").write_text(("x" * 60_000 + "\n") * 400)
    answer = api.client.get(f"/v1/jobs/{job_id}/logs?limit=10000", headers=owner)
    assert len(answer.content) < 5 << 20
    lines = answer.json()["lines"]
    while page := api.client.get(f"/v1/jobs/{job_id}/logs?after={answer.json()['next']}", headers=owner):
        if not page.json()["lines"]:
            break
        lines += page.json()["lines"]
        answer = page
    assert len(lines) == 401


def test_quota_is_the_tokens_own(api) -> None:
    made = tokens.create(api.database, "small", BOTH, Quotas(max_queued=1))
    small = {"Authorization": f"Bearer {made.secret}"}
    submit(api, api.headers(*BOTH))
    assert submit(api, small)[0] == 201
    with api.database.read() as connection:
        assert len(jobs.newest(connection, (), None, None, 10, owner=made.token.id)) == 1
