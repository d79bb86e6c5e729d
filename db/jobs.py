"""Jobs as their owners see them: submit, find, list, cancel, retry."""

from __future__ import annotations

import base64
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from db import events, outbox
from db.events import EventKind
from db.models import (
    ID_LENGTH,
    SHARING_STATES,
    ArtifactRow,
    Attempt,
    Job,
    JobOwner,
    JobStage,
    MeasurementRow,
    MetricRow,
)
from db.records import AttemptRecord, JobRecord, MetricRecord, StageRecord
from db.session import Database, moment
from farm import states
from farm.artifacts import Artifact, ArtifactName
from farm.errors import AmbiguousJob, JobNotFound, NoJobYet, TransitionRefused
from farm.jobspec import FORMAT, JobSpec
from farm.measurement import Measurement
from farm.settings import SandboxMode
from farm.stages import Queue, StageName
from farm.states import JobState, StageState

# Built once: building a statement takes five times as long as running it, and these are run for every look at a job.
_OF_JOBS: sa.BindParameter[Sequence[str]] = sa.bindparam("ids", expanding=True)
_STAGES = sa.select(JobStage.__table__).where(JobStage.job_id.in_(_OF_JOBS)).order_by(JobStage.position)
_METRICS = (
    sa.select(MetricRow.__table__).where(MetricRow.job_id.in_(_OF_JOBS)).order_by(MetricRow.stage, MetricRow.name)
)
_ARTIFACTS = sa.select(ArtifactRow.__table__).where(ArtifactRow.job_id.in_(_OF_JOBS)).order_by(ArtifactRow.name)
_MEASUREMENTS = (
    sa.select(MeasurementRow.__table__).where(MeasurementRow.job_id.in_(_OF_JOBS)).order_by(MeasurementRow.device)
)
_JOB = sa.select(Job.__table__).where(Job.id == sa.bindparam("id"))
_JOB_ID = sa.select(Job.id).where(Job.id == sa.bindparam("id"))
_OWN_JOB_ID = _JOB_ID.join(JobOwner, JobOwner.job_id == Job.id).where(JobOwner.token_id == sa.bindparam("owner"))
_EQUAL = sa.select(Job.id, Job.state).where(Job.key == sa.bindparam("key"), sa.text(SHARING_STATES))
_INSERT = sa.insert(Job)
_INSERT_STAGES = sa.insert(JobStage)


@dataclass(frozen=True)
class Submitted:
    """The job's id, and whether it is an equal one that was there before."""

    job_id: str
    reused: bool


def new_id() -> str:
    """A random id of 50 bits: 10 letters and digits, the first a letter."""
    while True:
        text = base64.b32encode(secrets.token_bytes(7)).decode().lower()[:ID_LENGTH]
        if text[0].isalpha():
            return text


def submit(
    database: Database,
    spec: JobSpec,
    key: str,
    stages: Sequence[StageName],
    usable: Callable[[Sequence[Artifact]], bool],
    also: Callable[[Connection, Submitted], None] | None = None,
    sandbox: SandboxMode = SandboxMode.REQUIRED,
) -> Submitted:
    """Queue a job, or find the equal one that is queued, running or succeeded.

    `also` is called in the transaction that makes the job, or, when there is an equal one, in one of its own; what it
    raises undoes the transaction.

    `usable` says whether a succeeded job's artifacts are still in the store; one whose are not is not shared any
    more. Of any number of equal submissions at once one makes the job: the database's unique index decides.
    sandbox: the mode that a new job is recorded with.
    """
    while True:
        with database.read() as connection:
            equal = _equal(connection, key)
            artifacts = _artifacts(connection, [equal.id])[equal.id] if equal else []
        if equal is not None:
            if equal.state != JobState.SUCCEEDED or usable(artifacts):
                found = Submitted(equal.id, reused=True)
                if also is not None:
                    with database.write(durable=True) as connection:
                        also(connection, found)
                return found
            with database.write() as connection:
                connection.execute(sa.update(Job).where(Job.id == equal.id).values(shareable=False))
        try:
            with database.write(durable=True) as connection:
                made = Submitted(_insert(connection, spec, key, stages, sandbox), reused=False)
                if also is not None:
                    also(connection, made)
                return made
        except IntegrityError:
            # An equal submission came between; the next round finds it.
            continue


def get(connection: Connection, prefix: str, owner: str | None = None) -> JobRecord:
    """The one job whose id begins with `prefix`; JobNotFound, AmbiguousJob. owner: see `find`."""
    return _load(connection, _JOB, {"id": find(connection, prefix, owner)})[0]


def find(connection: Connection, prefix: str, owner: str | None = None) -> str:
    """The id that begins with `prefix`; JobNotFound, AmbiguousJob.

    owner: the token whose jobs are looked through, None for all. Another's job is answered like one that is not there.
    """
    # A whole id is looked up; only for a part of one all are looked through.
    if connection.scalar(_JOB_ID if owner is None else _OWN_JOB_ID, {"id": prefix.lower(), "owner": owner}) is not None:
        return prefix.lower()
    matching = sa.select(Job.id).where(Job.id.startswith(prefix.lower(), autoescape=True))
    if owner is not None:
        matching = matching.where(_of(owner))
    found = list(connection.scalars(matching.limit(4))) if prefix else []
    if not found:
        raise JobNotFound(f"There is no job {prefix!r}; `farm list` shows the jobs.")
    if len(found) > 1:
        raise AmbiguousJob(f"More than one job begins with {prefix!r} ({', '.join(found[:3])}); give more letters.")
    return found[0]


def state(connection: Connection, job_id: str) -> JobState:
    """The job's state alone, for those who ask often; JobNotFound."""
    found = connection.scalar(sa.select(Job.state).where(Job.id == job_id))
    if found is None:
        raise JobNotFound(f"There is no job {job_id!r}; `farm list` shows the jobs.")
    return JobState(found)


def newest(
    connection: Connection,
    chosen: Sequence[JobState],
    model: str | None,
    recipe: str | None,
    limit: int,
    before: str | None = None,
    owner: str | None = None,
) -> list[JobRecord]:
    """The newest jobs first: of these states (all when empty), with `model` in their reference, of that recipe.

    before: only those that come after the job of that id in this order, for the next page. owner: see `find`.
    """
    query = sa.select(Job).order_by(Job.created_at.desc(), Job.id).limit(limit)
    if owner is not None:
        query = query.where(_of(owner))
    if chosen:
        query = query.where(Job.state.in_([state.value for state in chosen]))
    if model is not None:
        query = query.where(Job.model.contains(model, autoescape=True))
    if recipe is not None:
        query = query.where(Job.recipe == recipe)
    if before is not None:
        last = sa.select(Job.created_at).where(Job.id == find(connection, before, owner)).scalar_subquery()
        query = query.where(sa.or_(Job.created_at < last, sa.and_(Job.created_at == last, Job.id > before)))
    return _load(connection, query)


def latest(connection: Connection, state: JobState | None) -> JobRecord:
    """The newest job (of that state); NoJobYet."""
    found = newest(connection, (state,) if state else (), None, None, 1)
    if not found:
        kind = f"{state} " if state else ""
        raise NoJobYet(f"There is no {kind}job yet; `farm submit` makes one.")
    return found[0]


def positions(connection: Connection, records: Sequence[JobRecord]) -> dict[str, int]:
    """How many queued jobs come before each of these that is queued, by its id."""
    queued = sorted((job.queued_at, job.id) for job in records if job.state == JobState.QUEUED)
    if not queued:
        return {}
    # What comes before the first is counted once, and the others are found between it and the last.
    first, last = (
        sa.tuple_(sa.literal(at, Job.queued_at.type), sa.literal(job_id)) for at, job_id in (queued[0], queued[-1])
    )
    place, waiting = sa.tuple_(Job.queued_at, Job.id), Job.state == JobState.QUEUED.value
    before = connection.scalar(sa.select(sa.func.count()).select_from(Job).where(waiting, place < first)) or 0
    between = sa.select(Job.id).where(waiting, place >= first, place <= last).order_by(Job.queued_at, Job.id)
    ranks = {job_id: before + number for number, job_id in enumerate(connection.scalars(between))}
    return {job_id: ranks[job_id] for _, job_id in queued}


def own_positions(connection: Connection, owner: str) -> dict[str, int]:
    """How many of the token's own queued jobs come before each of them, by its id."""
    query = sa.select(Job.id).where(Job.state == JobState.QUEUED.value, _of(owner)).order_by(Job.queued_at, Job.id)
    return {job_id: number for number, job_id in enumerate(connection.scalars(query))}


def attempts(connection: Connection, job_id: str) -> list[AttemptRecord]:
    """Every claim of the job, in order."""
    rows = connection.execute(sa.select(Attempt.__table__).where(Attempt.job_id == job_id).order_by(Attempt.number))
    return [
        AttemptRecord(row.number, row.worker_id, row.started_at, row.ended_at, row.counted, row.error_code, row.reason)
        for row in rows
    ]


def all_artifacts(connection: Connection, without: Collection[str] = ()) -> list[Artifact]:
    """Every artifact of every job, but for these jobs."""
    rows = connection.execute(sa.select(ArtifactRow.__table__))
    return [Artifact(ArtifactName(row.name), row.digest, row.size) for row in rows if row.job_id not in without]


def by_artifact(connection: Connection) -> dict[str, list[str]]:
    """The ids of the jobs that succeeded and have an artifact of that digest."""
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(ArtifactRow.digest, Job.id).join(Job, Job.id == ArtifactRow.job_id)
    for digest, job_id in connection.execute(query.where(Job.state == JobState.SUCCEEDED.value)):
        found[digest].append(job_id)
    return found


def cancel(database: Database, prefix: str) -> str:
    """Cancel a queued job, ask for it when it is running; TransitionRefused when it has ended. Returns its id."""
    with database.write(durable=True) as connection:
        job_id = find(connection, prefix)
        state = _locked_state(connection, job_id)
        states.require(state, JobState.CANCELLED, job_id)
        change: dict[str, Any] = {"cancel_requested": True, "shareable": False}
        if state == JobState.QUEUED:
            change |= {"state": JobState.CANCELLED.value, "finished_at": moment(connection)}
            events.append(connection, job_id, EventKind.CANCELLED, "cancelled before it ran")
        else:
            events.append(connection, job_id, EventKind.CANCEL_REQUESTED, "cancellation was asked for")
        connection.execute(sa.update(Job).where(Job.id == job_id).values(change))
        return job_id


def retry(database: Database, prefix: str, also: Callable[[Connection, str], None] | None = None) -> str:
    """Queue a failed or cancelled job again, with all its attempts; TransitionRefused otherwise. Returns its id.

    `also` is called with the id at the end of the transaction; what it raises undoes the transaction.
    """
    with database.read() as connection:
        job_id = find(connection, prefix)
    try:
        with database.write(durable=True) as connection:
            state = _locked_state(connection, job_id)
            states.require(state, JobState.QUEUED, job_id)
            if state == JobState.RUNNING:
                raise TransitionRefused(f"Job {job_id} is running; cancel it before you retry it.")
            connection.execute(
                sa.update(Job)
                .where(Job.id == job_id)
                .values(
                    state=JobState.QUEUED.value, queued_at=moment(connection), started_at=None, finished_at=None,
                    counted_attempts=0, shareable=True, cancel_requested=False, error_code=None, error_sentence=None,
                    notes=[], queue=Queue.CONVERT.value,
                )
            )  # fmt: skip
            reset_stages(connection, job_id)
            events.append(connection, job_id, EventKind.RETRIED, "queued again on request")
            outbox.announce(connection, job_id, Queue.CONVERT)
            if also is not None:
                also(connection, job_id)
    except IntegrityError as error:
        raise TransitionRefused(
            f"Job {job_id} cannot be retried because an identical job is there; `farm list` shows it."
        ) from error
    return job_id


def waits_in(connection: Connection, job_id: str) -> Queue | None:
    """The queue in which the job waits; None when it does not."""
    query = sa.select(Job.queue).where(Job.id == job_id, Job.state == JobState.QUEUED.value)
    found = connection.scalar(query)
    return None if found is None else Queue(found)


def reset_stages(connection: Connection, job_id: str) -> None:
    """All stages of the job to pending; what they made stays filed under their keys."""
    connection.execute(
        sa.update(JobStage)
        .where(JobStage.job_id == job_id)
        .values(state=StageState.PENDING.value, progress=0.0, activity="", note=None, seconds=None, peak_bytes=None)
    )


def _of(owner: str) -> sa.ColumnElement[bool]:
    """Whether the job is that token's."""
    return sa.exists().where(JobOwner.job_id == Job.id, JobOwner.token_id == owner)


def _locked_state(connection: Connection, job_id: str) -> JobState:
    return JobState(connection.execute(sa.select(Job.state).where(Job.id == job_id).with_for_update()).scalar_one())


def _equal(connection: Connection, key: str) -> sa.Row[str, str] | None:
    return connection.execute(_EQUAL, {"key": key}).one_or_none()


def _insert(connection: Connection, spec: JobSpec, key: str, stages: Sequence[StageName], sandbox: SandboxMode) -> str:
    job_id, submitted = new_id(), moment(connection)
    connection.execute(
        _INSERT,
        {
            "id": job_id, "key": key, "state": JobState.QUEUED.value, "shareable": True,
            "spec": spec.model_dump(mode="json"), "model": spec.model, "recipe": spec.recipe, "created_at": submitted,
            "queued_at": submitted, "attempt": 0, "counted_attempts": 0, "cancel_requested": False, "notes": [],
            "queue": Queue.CONVERT.value, "format": FORMAT, "sandbox": sandbox.value,
        },
    )  # fmt: skip
    connection.execute(
        _INSERT_STAGES,
        [
            {"job_id": job_id, "name": name.value, "position": place, "state": StageState.PENDING.value,
             "progress": 0.0, "activity": ""}
            for place, name in enumerate(stages)
        ],
    )  # fmt: skip
    events.append(connection, job_id, EventKind.SUBMITTED, f"{spec.model} as {spec.recipe}")
    outbox.announce(connection, job_id, Queue.CONVERT)
    return job_id


def _load(connection: Connection, query: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[JobRecord]:
    """The jobs that the query selects, with all that belongs to them, in four more queries."""
    rows = connection.execute(query, values).all()
    ids = [row.id for row in rows]
    stages, metrics, artifacts = _stages(connection, ids), _metrics(connection, ids), _artifacts(connection, ids)
    measured = _measurements(connection, ids)
    return [
        JobRecord(
            id=row.id, key=row.key, state=JobState(row.state), spec=JobSpec.model_validate(row.spec),
            created_at=row.created_at, queued_at=row.queued_at, started_at=row.started_at,
            finished_at=row.finished_at, attempt=row.attempt,
            counted_attempts=row.counted_attempts, worker_id=row.worker_id,
            cancel_requested=row.cancel_requested, error_code=row.error_code, error_sentence=row.error_sentence,
            notes=tuple(row.notes), stages=tuple(stages[row.id]), metrics=tuple(metrics[row.id]),
            artifacts=tuple(artifacts[row.id]), measurements=tuple(measured[row.id]), format=row.format,
            sandbox=SandboxMode(row.sandbox),
        )
        for row in rows
    ]  # fmt: skip


def _stages(connection: Connection, ids: Sequence[str]) -> dict[str, list[StageRecord]]:
    found: dict[str, list[StageRecord]] = defaultdict(list)
    for row in connection.execute(_STAGES, {"ids": ids}):
        found[row.job_id].append(
            StageRecord(
                StageName(row.name), StageState(row.state), row.key, row.progress, row.activity, row.note, row.attempt,
                row.seconds, row.peak_bytes,
            )
        )  # fmt: skip
    return found


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, list[MetricRecord]]:
    found: dict[str, list[MetricRecord]] = defaultdict(list)
    for row in connection.execute(_METRICS, {"ids": ids}):
        found[row.job_id].append(MetricRecord(StageName(row.stage), row.name, row.value, row.unit))
    return found


def _artifacts(connection: Connection, ids: Sequence[str]) -> dict[str, list[Artifact]]:
    found: dict[str, list[Artifact]] = defaultdict(list)
    for row in connection.execute(_ARTIFACTS, {"ids": ids}):
        found[row.job_id].append(Artifact(ArtifactName(row.name), row.digest, row.size))
    return found


def _measurements(connection: Connection, ids: Sequence[str]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = defaultdict(list)
    for row in connection.execute(_MEASUREMENTS, {"ids": ids}):
        found[row.job_id].append(Measurement.model_validate(row.content))
    return found
