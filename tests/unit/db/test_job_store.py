"""Jobs and claims: the transitions, the fence, identical jobs, attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from db import claims, events, jobs, stages, workers
from db.claims import Claim, LeaseLost
from db.models import JobStage, Worker
from db.records import JobRecord, MetricRecord, ResultRecord
from db.session import Database, now
from farm.artifacts import Artifact, ArtifactName
from farm.errors import AmbiguousJob, JobNotFound, NoJobYet, OutOfMemory, QualityMissed, TransitionRefused
from farm.jobspec import FORMAT, JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode
from farm.stages import StageName
from farm.states import JobState, StageState

STAGES = (StageName.FETCH, StageName.CHECK)


def all_there(_artifacts: Sequence[Artifact]) -> bool:
    return True


def submit(database: Database, model: str = "gpt2", key: str | None = None) -> str:
    spec = JobSpec(model_kind=ModelKind.PRESET, model=model)
    return jobs.submit(database, spec, key or spec.key("code"), STAGES, all_there).job_id


def get(database: Database, job_id: str) -> JobRecord:
    with database.read() as connection:
        return jobs.get(connection, job_id)


def claim(database: Database, lease_seconds: float = 60) -> Claim:
    held = claims.claim(database, "worker", lease_seconds)
    assert held is not None
    return held


def finish(database: Database, held: Claim) -> None:
    with database.write() as connection:
        claims.finish(connection, held)


def test_a_new_job_is_queued_with_its_stages(database: Database) -> None:
    job = get(database, submit(database))
    assert (job.state, job.attempt, job.counted_attempts) == (JobState.QUEUED, 0, 0)
    assert [(stage.name, stage.state) for stage in job.stages] == [(name, StageState.PENDING) for name in STAGES]


def test_ids_are_short_and_begin_with_a_letter() -> None:
    found = {jobs.new_id() for _ in range(1000)}
    assert len(found) == 1000
    assert all(len(each) == 10 and each[0].isalpha() and each == each.lower() for each in found)


def test_prefixes(database: Database) -> None:
    ids = [submit(database, f"model-{number}") for number in range(40)]
    assert get(database, ids[0].upper()).id == ids[0]
    assert get(database, ids[0][:9]).id == ids[0]
    shared = next(a[0] for a in ids if sum(b[0] == a[0] for b in ids) > 1)
    with pytest.raises(AmbiguousJob, match="give more letters"):
        get(database, shared)
    for prefix in ("", "0", "%", "_"):
        with pytest.raises(JobNotFound):
            get(database, prefix)


def test_no_job_yet(database: Database) -> None:
    with database.read() as connection, pytest.raises(NoJobYet, match="no succeeded job yet"):
        jobs.latest(connection, JobState.SUCCEEDED)


def test_filters_and_order(database: Database) -> None:
    ids = [submit(database, model) for model in ("gpt2", "gemma_2b", "gpt2_large")]
    jobs.cancel(database, ids[0])
    with database.read() as connection:
        assert [job.id for job in jobs.newest(connection, (), None, None, 10)] == ids[::-1]
        assert [job.id for job in jobs.newest(connection, (), "gpt2", None, 10)] == [ids[2], ids[0]]
        assert [job.id for job in jobs.newest(connection, (JobState.CANCELLED,), None, None, 10)] == [ids[0]]
        assert jobs.newest(connection, (), None, "dynamic_wi8_afp32", 10) == []
        assert len(jobs.newest(connection, (), None, None, 2)) == 2
        assert jobs.latest(connection, None).id == ids[2]
        assert jobs.positions(connection, [jobs.get(connection, each) for each in ids]) == {ids[1]: 0, ids[2]: 1}
        assert jobs.positions(connection, [jobs.get(connection, ids[2])]) == {ids[2]: 1}
        assert jobs.positions(connection, [jobs.get(connection, ids[0])]) == {}


def test_the_oldest_is_claimed_first_and_once(database: Database) -> None:
    ids = [submit(database, f"model-{number}") for number in range(3)]
    held = [claim(database) for _ in ids]
    assert [each.job_id for each in held] == ids
    assert claims.claim(database, "worker", 60) is None
    job = get(database, ids[0])
    assert (job.state, job.attempt, job.counted_attempts, job.worker_id) == (JobState.RUNNING, 1, 1, "worker")
    assert job.started_at is not None


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED])
def test_an_equal_job_is_shared(database: Database, state: JobState) -> None:
    first = submit(database)
    if state is not JobState.QUEUED:
        held = claim(database)
        if state is JobState.SUCCEEDED:
            finish(database, held)
    assert submit(database) == first
    assert submit(database, "another") != first


def test_a_failed_or_cancelled_job_is_not_shared(database: Database) -> None:
    first = submit(database)
    jobs.cancel(database, first)
    second = submit(database)
    assert second != first
    claims.fail(database, claim(database), QualityMissed("Too far off."), 3)
    assert submit(database) != second


def test_a_job_that_is_being_cancelled_is_not_shared(database: Database) -> None:
    first = submit(database)
    claim(database)
    jobs.cancel(database, first)
    assert submit(database) != first


def test_a_succeeded_job_without_its_files_is_not_shared(database: Database) -> None:
    first = submit(database)
    finish(database, claim(database))
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2")
    again = jobs.submit(database, spec, spec.key("code"), STAGES, lambda _artifacts: False)
    assert (again.reused, again.job_id == first) == (False, False)


def test_retry_is_refused_while_an_equal_job_is_there(database: Database) -> None:
    first = submit(database)
    jobs.cancel(database, first)
    second = submit(database)
    with pytest.raises(TransitionRefused, match="an identical job is there"):
        jobs.retry(database, first)
    assert get(database, first).state is JobState.CANCELLED
    jobs.cancel(database, second)
    jobs.retry(database, first)
    assert get(database, first).state is JobState.QUEUED


def test_what_cannot_be_retried_or_cancelled(database: Database) -> None:
    job_id = submit(database)
    with pytest.raises(TransitionRefused):
        jobs.retry(database, job_id)
    held = claim(database)
    with pytest.raises(TransitionRefused, match="is running"):
        jobs.retry(database, job_id)
    finish(database, held)
    for change in (jobs.retry, jobs.cancel):
        with pytest.raises(TransitionRefused):
            change(database, job_id)


def test_heartbeat_tells_of_cancellation(database: Database) -> None:
    held_id = submit(database)
    held = claim(database)
    assert not claims.heartbeat(database, held)
    jobs.cancel(database, held_id)
    assert claims.cancel_requested(database, held)
    assert claims.heartbeat(database, held)
    stages.start(database, held, StageName.CHECK, "k" * 64, "checking")
    claims.cancelled(database, held)
    assert get(database, held_id).state is JobState.CANCELLED
    assert StageState.RUNNING not in {stage.state for stage in get(database, held_id).stages}
    assert StageState.STOPPED in {stage.state for stage in get(database, held_id).stages}


def test_what_has_ended_is_held_by_nobody(database: Database) -> None:
    submit(database)
    held = claim(database)
    finish(database, held)
    with pytest.raises(LeaseLost):
        claims.heartbeat(database, held)


def test_a_retryable_error_is_tried_so_often(database: Database) -> None:
    job_id = submit(database)
    states = [claims.fail(database, claim(database), OutOfMemory(f"No memory, {n}."), 3) for n in range(3)]
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    job = get(database, job_id)
    assert (job.error_code, job.error_sentence) == ("out-of-memory", "No memory, 2.")
    with database.read() as connection:
        assert [each.reason for each in jobs.attempts(connection, job_id)] == [f"No memory, {n}." for n in range(3)]


def test_giving_back_charges_nothing_and_raises_the_fence(database: Database) -> None:
    job_id = submit(database)
    for expected in range(1, 6):
        held = claim(database)
        assert (held.attempt, held.counted_attempts) == (expected, 1)
        claims.release(database, held, "asked to stop")
    assert (get(database, job_id).attempt, get(database, job_id).counted_attempts) == (5, 0)


def test_lost_jobs_are_freed_by_lease_and_by_dead_worker(database: Database) -> None:
    late, dead, healthy = (submit(database, name) for name in ("late", "dead", "healthy"))
    claims.claim(database, "a", -1)
    claims.claim(database, "b", 60)
    claims.claim(database, "c", 60)
    assert sorted(claims.requeue_lost(database, ["b"], 3)) == sorted([late, dead])
    assert [get(database, each).state for each in (late, dead, healthy)] == [
        JobState.QUEUED, JobState.QUEUED, JobState.RUNNING,
    ]  # fmt: skip
    assert claims.requeue_lost(database, ["b"], 3) == []


def test_a_lost_job_is_cancelled_or_fails_when_its_time_has_come(database: Database) -> None:
    wished, spent = submit(database, "wished"), submit(database, "spent")
    for held in (claims.claim(database, "a", -1), claims.claim(database, "a", -1)):
        assert held is not None
        with database.write() as connection:
            row = sa.and_(JobStage.job_id == held.job_id, JobStage.name == StageName.CHECK.value)
            connection.execute(sa.update(JobStage).where(row).values(state=StageState.RUNNING.value))
    jobs.cancel(database, wished)
    claims.requeue_lost(database, [], max_attempts=1)
    assert get(database, wished).state is JobState.CANCELLED
    assert (get(database, spent).state, get(database, spent).error_code) == (JobState.FAILED, "worker-lost")
    for job_id in (wished, spent):
        assert StageState.STOPPED in {stage.state for stage in get(database, job_id).stages}, "nothing runs any more"


def test_a_stage_and_its_result(database: Database) -> None:
    job_id = submit(database)
    held = claim(database)
    outputs = (Artifact(ArtifactName.CHECKED, "d" * 64, 7),)
    record = ResultRecord("k" * 64, StageName.CHECK, 1.5, 99, outputs, {"notes": []})
    metrics = [MetricRecord(StageName.CHECK, "files", 3.0, "files")]
    stages.start(database, held, StageName.CHECK, record.key, "checking")
    stages.progress(database, held, StageName.CHECK, 0.5, "half")
    assert get(database, job_id).stages[1].activity == "half"
    stages.succeed(database, held, record, metrics, reused=False)
    claims.release(database, held, "asked to stop")
    stages.succeed(database, claim(database), record, metrics, reused=True)
    job = get(database, job_id)
    assert (job.stages[1].state, job.stages[1].seconds, job.stages[1].peak_bytes) == (StageState.REUSED, 1.5, 99)
    assert job.artifacts == outputs
    assert job.metrics == tuple(metrics)
    assert stages.result(database, record.key) == record
    with database.read() as connection:
        assert stages.outputs_by_key(connection) == {record.key: outputs}
        assert stages.typical_seconds(connection) == {StageName.CHECK: 1.5}
        kinds = [event.kind for event in events.since(connection, job_id, 0)]
    assert kinds == [
        "submitted", "claimed", "stage-started", "stage-succeeded", "requeued", "claimed", "stage-reused",
    ]  # fmt: skip
    stages.forget_result(database, record.key)
    assert stages.result(database, record.key) is None


def test_events_after(database: Database) -> None:
    job_id = submit(database)
    claim(database)
    with database.read() as connection:
        first, second = events.since(connection, job_id, 0)
        assert events.since(connection, job_id, first.id) == [second]


def test_one_worker_is_started_however_many_ask(database: Database) -> None:
    submit(database)
    started = []

    def start() -> str:
        started.append("process")
        return "process"

    answers = [workers.start_unless_alive(database, f"w{n}", lambda _process: True, start) for n in range(5)]
    assert (answers, started) == ([True, False, False, False, False], ["process"])
    assert workers.start_unless_alive(database, "successor", lambda _process: False, start)


def test_no_worker_is_started_without_work(database: Database) -> None:
    assert not workers.start_unless_alive(database, "w", lambda _process: True, lambda: "process")


def test_a_job_of_a_newer_version_is_left_to_newer_workers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FORMAT", FORMAT + 1)
    newer = submit(database, "newer")
    monkeypatch.undo()
    assert claims.claim(database, "worker", 60, only=newer) is None
    mine = submit(database, "mine")
    assert claim(database).job_id == mine
    assert claims.claim(database, "worker", 60) is None
    monkeypatch.setattr(claims, "FORMAT", FORMAT + 1)
    assert claim(database).job_id == newer


def test_a_job_that_needs_a_sandbox_is_left_to_workers_with_one(database: Database) -> None:
    needs = submit(database, "needs")
    assert claims.claim(database, "open", 60, confines=False) is None
    assert claims.claim(database, "open", 60, only=needs, confines=False) is None
    spec = JobSpec(model_kind=ModelKind.PRESET, model="free", recipe="int8")
    free = jobs.submit(database, spec, "free", STAGES, lambda _artifacts: True, sandbox=SandboxMode.OFF).job_id
    taken = claims.claim(database, "open", 60, confines=False)
    assert taken is not None
    assert taken.job_id == free
    assert claim(database).job_id == needs


def test_a_worker_that_cannot_do_what_waits_neither_stays_nor_keeps_others_away(database: Database) -> None:
    def started(worker_id: str, *, confines: bool) -> bool:
        return workers.start_unless_alive(database, worker_id, lambda _: True, lambda: worker_id, confines=confines)

    workers.register(database, "open", "open", confines=False)
    workers.register(database, "old", "old")
    with database.write() as connection:
        connection.execute(sa.update(Worker).where(Worker.id == "old").values(format=FORMAT - 1))
    submit(database)
    assert not started("another", confines=False)
    assert started("able", confines=True)
    assert not started("second", confines=True)
    assert workers.leave_if_idle(database, "open", confines=False)
    assert not workers.leave_if_idle(database, "able")


def test_what_a_worker_can_do_is_set_right_when_it_is_there(database: Database) -> None:
    submit(database)
    assert workers.start_unless_alive(database, "w", lambda _process: True, lambda: "w")
    workers.register(database, "w", "w", confines=False)
    with database.read() as connection:
        assert [(each.format, each.confines) for each in workers.registered(connection)] == [(FORMAT, False)]


def test_a_worker_elsewhere_that_fell_silent_is_forgotten(database: Database) -> None:
    """Its machine's own workers would see that its process is dead; those of other machines go by when it was seen."""

    def age(worker_id: str, seen_at: datetime | None) -> None:
        with database.write() as connection:
            connection.execute(sa.update(Worker).where(Worker.id == worker_id).values(seen_at=seen_at))

    def silent() -> list[str]:
        with database.read() as connection:
            return [each.id for each in workers.registered(connection) if each.silent]

    long_ago = now() - timedelta(seconds=workers.SILENT_SECONDS + 1)
    for worker_id in ("busy", "silent", "fresh", "older"):
        workers.register(database, worker_id, f"{worker_id}/boot/namespace/1/1")
    for worker_id, seen_at in (("busy", long_ago), ("silent", long_ago), ("older", None)):
        age(worker_id, seen_at)
    submit(database)
    assert claims.claim(database, "busy", 60) is not None
    assert silent() == ["silent"]
    workers.seen(database, "silent", "silent/boot/namespace/1/1")
    assert silent() == []
    workers.remove(database, ["silent"])
    workers.seen(database, "silent", "silent/boot/namespace/1/1")
    with database.read() as connection:
        assert "silent" in [each.id for each in workers.registered(connection)]
