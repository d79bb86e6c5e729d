"""Jobs, logs, artifacts and the overview over HTTP, through the remote farm where it has words for them."""

from __future__ import annotations

import fcntl
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from client import transfers
from client.local import LocalFarm
from client.protocol import JobView
from db import claims, jobs, stages, workers
from db.events import EventKind
from db.models import StageResultRow, Webhook, Worker
from db.session import now
from farm import errors, identity, locations, logs
from farm.access import Scope
from farm.artifacts import Artifact, ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.recipes import RECIPES
from farm.stages import StageName
from farm.states import JobState
from farm.webhooks import Webhook as GivenWebhook
from server.problems import STATUS, status_of
from server.routes.artifacts import parse_range

BOTH = (Scope.SUBMIT, Scope.READ)
CONTENT = bytes(range(256)) * 5000


def spec(model: str = "gpt2_base_en", **changes) -> JobSpec:
    return JobSpec(model_kind=ModelKind.HUGGINGFACE, model=f"hf://org/{model}", **changes)


def succeed(api, tmp_path: Path, content: bytes = CONTENT) -> tuple[JobView, Artifact]:
    """A job that has made an app, without any worker."""
    job = api.state.farm.submit(spec("done")).job
    held = claims.claim(api.database, "worker", 60)
    assert held is not None
    draft = tmp_path / "draft.apk"
    draft.write_bytes(content)
    (artifact,) = api.state.store.put({ArtifactName.APK: draft})
    with api.database.write() as connection:
        stages.file_artifacts(connection, held, [artifact])
        claims.finish(connection, held)
    return api.state.farm.job(job.id), artifact


def test_the_same_views_as_on_the_machine_itself(api, tmp_path: Path) -> None:
    farm, local = api.farm(*BOTH), LocalFarm(api.state.settings)
    succeed(api, tmp_path)
    submitted = farm.submit(spec("one", recipe="int8"))
    assert not submitted.reused
    assert submitted.job == local.job(submitted.job.id)
    assert farm.submit(spec("one", recipe="int8")).reused
    farm.cancel(farm.submit(spec("two")).job.id)
    for chosen in (
        {},
        {"states": [JobState.QUEUED, JobState.CANCELLED]},
        {"model": "o"},
        {"recipe": RECIPES[0].name},
        {"limit": 2},
    ):
        assert farm.jobs(**chosen) == local.jobs(**chosen)
    assert farm.latest(JobState.SUCCEEDED) == local.latest(JobState.SUCCEEDED)
    found = farm.events(submitted.job.id)
    assert found == local.events(submitted.job.id)
    assert farm.events(submitted.job.id, after=found[-1].id) == []
    assert farm.job(submitted.job.id[:9].upper()) == local.job(submitted.job.id)


def test_a_spec_with_everything_survives_the_journey(api) -> None:
    given = spec(
        "x", recipe="int8", context=64, prefill=(8, 16), static_shapes=True, app={"label": "Ünï 😀", "version_code": 7}
    )
    assert api.farm(*BOTH).submit(given).job.spec == given


def test_the_same_errors_as_on_the_machine_itself(api) -> None:
    farm, local = api.farm(*BOTH), LocalFarm(api.state.settings)
    queued = farm.submit(spec()).job.id
    cases = [
        lambda each: each.job("zzzzzzzzzz"),
        lambda each: each.job("../../v1/tokens"),
        lambda each: each.job(""),
        lambda each: each.latest(JobState.FAILED),
        lambda each: each.retry(queued),
        lambda each: each.cancel("zzzzzzzzzz"),
        lambda each: each.events("zzzzzzzzzz"),
        lambda each: list(each.logs("zzzzzzzzzz")),
        lambda each: each.download(queued, ArtifactName.APK, Path("/nowhere")),
    ]
    for case in cases:
        with pytest.raises(errors.FarmError) as remote:
            case(farm)
        with pytest.raises(errors.FarmError) as embedded:
            case(local)
        assert (type(remote.value), remote.value.sentence) == (type(embedded.value), embedded.value.sentence)


def test_a_wrong_spec_is_refused_with_its_own_error(api) -> None:
    headers = api.headers(Scope.SUBMIT)
    for changes, code in (
        ({"recipe": "int9"}, "unknown-recipe"),
        ({"context": 3}, "context-too-long"),
        ({"context": 1 << 40}, "context-too-long"),
        ({"prefill": list(range(2, 40)), "static_shapes": True}, "sequence-too-long"),
        ({"app": {"application_id": "x"}}, "bad-application-id"),
        ({"context": "256"}, "usage-error"),
        ({"contexts": 256}, "usage-error"),
        ({"model_kind": "zip"}, "usage-error"),
    ):
        body = {"spec": {"model_kind": "preset", "model": "gpt2_base_en", **changes}}
        answer = api.client.post("/v1/jobs", headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["exit_code"] > 0
    assert api.client.post("/v1/jobs", headers=headers, content=b"\xff{").json()["code"] == "usage-error"


def test_pages(api) -> None:
    farm = api.farm(*BOTH)
    ids = [farm.submit(spec(f"m{number}")).job.id for number in range(7)]
    headers = api.headers(Scope.READ)
    found: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    for expected in (3, 3, 1):
        page = api.client.get("/v1/jobs", headers=headers, params=query).json()
        assert len(page["jobs"]) == expected
        found += [job["id"] for job in page["jobs"]]
        query["before"] = page["next"]
    assert (found, page["next"]) == (ids[::-1], None)


def test_an_unexpected_fault_tells_nothing(api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(api.state.farm, "job", fail)
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2")
    job_id = jobs.submit(api.database, spec, "k", [StageName.FETCH], lambda _artifacts: True).job_id
    answer = api.client.get(f"/v1/jobs/{job_id}", headers=api.headers(Scope.READ))
    assert (answer.status_code, answer.json()["code"]) == (500, "farm-error")
    assert "hunter2" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_paths_and_methods_that_are_none(api) -> None:
    assert api.client.get("/v2").json()["status"] == 404
    answer = api.client.put("/v1/jobs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_every_error_has_a_status() -> None:
    for cls in errors.all_errors():
        assert 400 <= status_of(cls) < 600
    assert status_of(errors.JobNotFound) == 404
    assert status_of(errors.UnknownRecipe) == 422
    assert all(issubclass(cls, errors.FarmError) for cls in STATUS)


def test_download_is_checked(api, tmp_path: Path) -> None:
    job, artifact = succeed(api, tmp_path)
    farm, target = api.farm(Scope.READ), tmp_path / "deep" / "app.apk"
    farm.download(job.id, ArtifactName.APK, target)
    assert target.read_bytes() == CONTENT
    with pytest.raises(errors.ArtifactMissing):
        farm.download(job.id, ArtifactName.SOURCE, target)
    blob = api.state.settings.store / "blobs" / artifact.digest
    blob.chmod(0o600)
    blob.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(errors.ArtifactDamaged):
        farm.download(job.id, ArtifactName.APK, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "home"]


def test_a_download_that_was_given_up_goes_on(api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, artifact = succeed(api, tmp_path)
    farm, target = api.farm(Scope.READ), tmp_path / "app.apk"
    part = tmp_path / f".app.apk.{artifact.digest[:16]}.part"
    chunks, asked, breaks = transfers._chunks, [], [True]

    def breaking(http, path, artifact, offset):
        asked.append(offset)
        for chunk in chunks(http, path, artifact, offset):
            yield chunk
            if breaks.pop() if breaks else False:
                raise errors.FarmUnreachable("gone")

    monkeypatch.setattr(transfers, "_chunks", breaking)
    with pytest.raises(errors.FarmUnreachable):
        farm.download(job.id, ArtifactName.APK, target)
    came = part.stat().st_size
    assert (0 < came < len(CONTENT), target.exists()) == (True, False)
    farm.download(job.id, ArtifactName.APK, target)
    assert (asked, target.read_bytes() == CONTENT, part.exists()) == ([0, came], True, False)

    # What was kept may be wrong, or too long; somebody else may be at it.
    for kept, expected in ((b"x" * 1000, [1000, 0]), (b"x" * (len(CONTENT) + 1), [0])):
        asked.clear()
        part.write_bytes(kept)
        farm.download(job.id, ArtifactName.APK, target)
        assert (asked, target.read_bytes() == CONTENT, part.exists()) == (expected, True, False)
    with part.open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        farm.download(job.id, ArtifactName.APK, tmp_path / "app.apk")
    assert part.exists()


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=1000000-", 206, CONTENT[1_000_000:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        (f"bytes={len(CONTENT)}-", 416, b""),
        ("bytes=5-2", 200, CONTENT),
        ("bytes=0-1,4-5", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
    ],
)
def test_ranges(api, tmp_path: Path, given: str, status: int, expected: bytes) -> None:
    job, artifact = succeed(api, tmp_path)
    path = f"/v1/jobs/{job.id}/artifacts/app.apk"
    headers = api.headers(Scope.READ)
    answer = api.client.get(path, headers={**headers, "Range": given})
    assert (answer.status_code, answer.content) == (status, expected)
    tag = answer.headers["etag"]
    assert tag == f'"{artifact.digest}"'
    assert api.client.get(path, headers={**headers, "If-None-Match": tag}).status_code == 304
    other = api.client.get(path, headers={**headers, "Range": given, "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, CONTENT)


def test_ranges_of_nothing() -> None:
    assert parse_range("bytes=-", 10) is None
    assert parse_range("bytes=-0", 10) == (10, 10)
    assert parse_range("bytes=3-100", 10) == (3, 10)


def test_logs_by_offset_and_as_a_stream(api) -> None:
    farm = api.farm(*BOTH)
    job = farm.submit(spec()).job
    log = logs.stage_log(api.state.settings.logs, job.id, 0, StageName.FETCH, 1)
    log.write_bytes(b"one\rtwo\nthree \xe2\x80\xa8 \xff\nhalf")
    headers, path = api.headers(Scope.READ), f"/v1/jobs/{job.id}/logs"
    first = api.client.get(path, headers=headers, params={"limit": 2}).json()
    assert (first["lines"], first["ended"]) == (["== 00-fetch.1 ==", "one\rtwo"], False)
    second = api.client.get(path, headers=headers, params={"after": first["next"]}).json()
    assert second["lines"] == ["three \u2028 \ufffd"]
    with log.open("ab") as stream:
        stream.write(b" a line\n")
    third = api.client.get(path, headers=headers, params={"after": second["next"]}).json()
    assert third["lines"] == ["half a line"]
    again = api.client.get(path, headers=headers, params={"after": third["next"]}).json()
    assert (again["lines"], again["next"]) == ([], third["next"])
    assert list(farm.logs(job.id)) == ["== 00-fetch.1 ==", "one\rtwo", "three \u2028 \ufffd", "half a line"]
    farm.cancel(job.id)
    assert list(farm.logs(job.id, follow=True)) == list(farm.logs(job.id))
    wrong = api.client.get(path, headers=headers, params={"after": "../../etc/passwd:0"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "usage-error")


def test_a_stream_that_ends_too_early_is_taken_up_again(api) -> None:
    """The farm ends each after 0.2 s here."""
    farm = api.farm(*BOTH)
    job = farm.submit(spec()).job
    log = logs.stage_log(api.state.settings.logs, job.id, 0, StageName.FETCH, 1)
    log.write_text("first\n")
    lines = farm.logs(job.id, follow=True)
    assert [next(lines), next(lines)] == ["== 00-fetch.1 ==", "first"]
    with log.open("a") as stream:
        stream.write("second\n")
    assert next(lines) == "second"
    farm.cancel(job.id)
    assert list(lines) == []


def exposed(text: str) -> set[str]:
    """Every metric of an exposition with its labels, as the documentation writes them: `farm_jobs{state}`."""
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line)
        assert match or line[:1] == "#"
        name, labels = match.groups() if match else ("", None)
        family = next((each for each in (name, re.sub(r"_(bucket|count|sum)$", "", name)) if each in names), None)
        if family is not None and not name.endswith("_created"):
            known = [label for label in re.findall(r'(\w+)="', labels or "") if label != "le"]
            found[family] = f"{family}{{{','.join(known)}}}" if known else family
    return set(found.values())


def test_overview_and_metrics(api, tmp_path: Path) -> None:
    farm, headers = api.farm(*BOTH), api.headers(Scope.READ)
    succeed(api, tmp_path)
    workers.register(api.database, "aaaaaaaaaa", str(identity.of_process()))
    workers.register(api.database, "bbbbbbbbbb", "elsewhere/boot/namespace/1/1")
    job = farm.submit(spec()).job
    farm.submit(spec("second"))
    held = claims.claim(api.database, "aaaaaaaaaa", 60)
    assert held is not None
    stages.fail(api.database, held, StageName.FETCH, errors.OutOfMemory("No memory."), 1.0, None)
    queue = api.client.get("/v1/queue", headers=headers).json()
    assert (queue["queued"], queue["running"]) == (1, 1)
    assert queue["oldest_seconds"] >= 0
    found = {each["id"]: each for each in api.client.get("/v1/workers", headers=headers).json()}
    assert (found["aaaaaaaaaa"]["state"], found["aaaaaaaaaa"]["job_id"]) == ("busy", job.id)
    assert (found["bbbbbbbbbb"]["state"], found["bbbbbbbbbb"]["host"]) == ("idle", "elsewhere")
    with api.database.write() as connection:
        long_ago = now() - timedelta(seconds=workers.SILENT_SECONDS + 1)
        connection.execute(sa.update(Worker).where(Worker.id == "bbbbbbbbbb").values(seen_at=long_ago))
        made = {"key": "k", "stage": "fetch", "created_at": now(), "seconds": 1.5, "outputs": [], "result": {}}
        connection.execute(sa.insert(StageResultRow).values(made))
    found = {each["id"]: each["state"] for each in api.client.get("/v1/workers", headers=headers).json()}
    assert found == {"aaaaaaaaaa": "busy", "bbbbbbbbbb": "dead"}
    claims.fail(api.database, held, errors.OutOfMemory("No memory."), 3)
    text = api.client.get("/metrics", headers=headers).text
    for line in (
        'farm_jobs{state="queued"} 2.0',
        'farm_jobs{state="succeeded"} 1.0',
        'farm_attempt_failures_total{code="out-of-memory"} 1.0',
        'farm_workers{state="idle"} 1.0',
        'farm_workers{state="dead"} 1.0',
        'farm_queue_jobs{queue="convert"} 2.0',
        "farm_outbox 0.0",
        'farm_stage_seconds_sum{stage="fetch"} 1.5',
        'farm_http_requests_total{method="GET",route="/v1/queue",status="200"} 1.0',
    ):
        assert f"\n{line}\n" in text
    page = (locations.ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(farm_\w+(?:\{[a-z,]+\})?)` \|", page, re.MULTILINE)) == exposed(text)
    recipes = api.client.get("/v1/recipes", headers=headers).json()
    assert [each["name"] for each in recipes] == [each.name for each in RECIPES]


def test_health_without_room(api) -> None:
    assert api.client.get("/health/ready").json() == {"status": "ok"}
    api.state.settings.home.rename(api.state.settings.home.with_name("moved"))
    assert api.client.get("/health/ready").status_code in (503, 507)
    assert api.client.get("/health/live").status_code == 200


def test_answers_are_not_kept_by_others(api) -> None:
    answer = api.client.get("/v1/queue", headers=api.headers(Scope.READ))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_events_of_the_api_are_json(api) -> None:
    job = api.farm(*BOTH).submit(spec()).job
    found = api.client.get(f"/v1/jobs/{job.id}/events", headers=api.headers(Scope.READ)).json()
    assert [each["kind"] for each in found] == [EventKind.SUBMITTED.value]
    assert json.dumps(found)


def test_what_is_no_webhook_is_refused(api) -> None:
    headers, secret_key = api.headers(Scope.SUBMIT), "a-secret-of-some-length"
    spec = {"model_kind": "preset", "model": "gpt2_base_en"}
    for url, secret in (
        ("file:///etc/passwd", secret_key),
        ("https://x.org/\n", secret_key),
        ("https://x.org/", "short"),
    ):
        body = {"spec": spec, "webhook": {"url": url, "secret": secret}}
        assert api.client.post("/v1/jobs", headers=headers, json=body).status_code == 422
    body = {"spec": spec, "webhook": {"url": "https://x.org/", "secret": secret_key}}
    assert api.client.post("/v1/jobs", headers=headers, json=body).status_code == 201
    with api.database.read() as connection:
        assert connection.execute(sa.select(Webhook.url)).scalar_one() == "https://x.org/"


def test_every_webhook_of_a_job_is_filed_once(api) -> None:
    given = [GivenWebhook(f"https://example.org/{number}", "s" * 16) for number in range(2)]
    job = api.farm(*BOTH).submit(spec(), given).job
    local = LocalFarm(api.state.settings).submit(spec("other"), given).job
    with api.state.database.read() as connection:
        rows = connection.execute(sa.select(Webhook.job_id, Webhook.url, Webhook.secret)).all()
    assert sorted(tuple(row) for row in rows) == sorted(
        (one.id, each.url, each.secret) for one in (job, local) for each in given
    )
    many = [{"url": "https://x.org/", "secret": "s" * 16}] * 9
    body = {"spec": spec("third").model_dump(mode="json"), "webhooks": many}
    assert api.client.post("/v1/jobs", headers=api.headers(*BOTH), json=body).status_code == 422


def test_a_job_that_has_ended_can_be_deleted(api, tmp_path: Path) -> None:
    job, _ = succeed(api, tmp_path)
    farm = api.farm(*BOTH)
    waiting = farm.submit(spec("waiting")).job
    with pytest.raises(errors.TransitionRefused, match="farm cancel"):
        farm.remove([waiting.id])
    gone = farm.remove([job.id])
    assert (gone.jobs, gone.files, gone.bytes) == (1, 1, len(CONTENT))
    with pytest.raises(errors.JobNotFound):
        farm.job(job.id)
