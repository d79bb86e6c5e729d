"""The stages of a running job, and the results that are filed under their keys."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import claims, events
from db.claims import Claim
from db.events import EventKind
from db.models import ArtifactRow, JobOwner, JobStage, MetricRow, StageResultRow
from db.records import MetricRecord, ResultRecord
from db.session import Database, now, replace
from farm.artifacts import Artifact, ArtifactName
from farm.errors import FarmError
from farm.stages import StageName
from farm.states import StageState


@dataclass(frozen=True)
class DoneStage:
    """What a worker needs to know of a stage that another worker did. key: of its result; note: why it was skipped."""

    state: StageState
    key: str | None
    note: str | None


# How many earlier runs of a stage tell how long it will take.
TYPICAL_RUNS = 5

# Built once: building a statement takes five times as long as running it, and these are run for every stage.
_RESULT = sa.select(StageResultRow.__table__).where(StageResultRow.key == sa.bindparam("of_key"))
# Locked until the job refers to it, so that it is not collected in between.
_HOLD_RESULT = (
    sa.select(StageResultRow.key).where(StageResultRow.key == sa.bindparam("of_key")).with_for_update(read=True)
)
_DELETE_RESULT = sa.delete(StageResultRow).where(StageResultRow.key == sa.bindparam("of_key"))
_LATEST_SECONDS = sa.union_all(
    *(
        sa.select(
            sa.select(StageResultRow.stage, StageResultRow.seconds)
            .where(StageResultRow.stage == name.value)
            .order_by(StageResultRow.created_at.desc())
            .limit(TYPICAL_RUNS)
            .subquery()
        )
        for name in StageName
    )
)
_INSERT_ARTIFACTS = sa.insert(ArtifactRow)
_INSERT_METRICS = sa.insert(MetricRow)


class ResultForgotten(Exception):  # named for what happened; never reaches a user
    """An earlier result is not filed under its key any more; the stage has to run."""


def start(database: Database, held: Claim, name: StageName, key: str, title: str) -> None:
    """The stage has begun."""
    with database.write() as connection:
        claims.hold(connection, held)
        _set(
            connection,
            held,
            name,
            state=StageState.RUNNING,
            key=key,
            progress=0.0,
            activity=title,
            attempt=held.attempt,
        )
        events.append(connection, held.job_id, EventKind.STAGE_STARTED, title, name)


def progress(database: Database, held: Claim, name: StageName, fraction: float, activity: str) -> None:
    """How far the stage is, from 0 to 1, and what it does now."""
    with database.write() as connection:
        claims.hold(connection, held)
        _set(connection, held, name, progress=fraction, activity=activity)


def succeed(
    database: Database, held: Claim, record: ResultRecord, metrics: Sequence[MetricRecord], *, reused: bool
) -> None:
    """The stage has its outputs in the store, made now or (reused) earlier; files the result under its key.

    ResultForgotten when the earlier result was collected in the meantime.
    """
    with database.write() as connection:
        claims.hold(connection, held)
        if not reused:
            _file(connection, record)
        elif connection.execute(_HOLD_RESULT, {"of_key": record.key}).one_or_none() is None:
            raise ResultForgotten(record.key)
        # That somebody else has converted the same is not for this job's owner to know.
        reused = reused and _known_to_owner(connection, held.job_id, record.key)
        _set(
            connection, held, record.stage,
            state=StageState.REUSED if reused else StageState.SUCCEEDED, key=record.key, progress=1.0, activity="",
            note="made by an earlier run" if reused else None, attempt=held.attempt, seconds=record.seconds,
            peak_bytes=record.peak_bytes,
        )  # fmt: skip
        file_artifacts(connection, held, record.outputs)
        _replace_metrics(connection, held, record.stage, metrics)
        kind = EventKind.STAGE_REUSED if reused else EventKind.STAGE_SUCCEEDED
        message = "an earlier result is used" if reused else f"{record.seconds:.1f} s"
        events.append(connection, held.job_id, kind, message, record.stage)


def skip(database: Database, held: Claim, name: StageName, reason: str) -> None:
    """This job cannot have the stage, for a reason that is one sentence."""
    with database.write() as connection:
        claims.hold(connection, held)
        _set(
            connection,
            held,
            name,
            state=StageState.SKIPPED,
            progress=1.0,
            activity="",
            note=reason,
            attempt=held.attempt,
        )
        events.append(connection, held.job_id, EventKind.STAGE_SKIPPED, reason, name)


def fail(
    database: Database, held: Claim, name: StageName, error: FarmError, seconds: float, peak_bytes: int | None
) -> None:
    """The stage failed; what becomes of the job is said by `claims.fail`."""
    with database.write() as connection:
        claims.hold(connection, held)
        _set(
            connection, held, name,
            state=StageState.FAILED, activity="", note=error.sentence, seconds=seconds, peak_bytes=peak_bytes,
        )  # fmt: skip
        events.append(connection, held.job_id, EventKind.STAGE_FAILED, error.sentence, name)


def file_artifacts(connection: Connection, held: Claim, artifacts: Collection[Artifact]) -> None:
    """The job has these artifacts, in place of any of the same names."""
    if not artifacts:
        return
    if held.attempt > 1:
        names = [artifact.name.value for artifact in artifacts]
        connection.execute(sa.delete(ArtifactRow).where(ArtifactRow.job_id == held.job_id, ArtifactRow.name.in_(names)))
    connection.execute(
        _INSERT_ARTIFACTS,
        [
            {"job_id": held.job_id, "name": artifact.name.value, "digest": artifact.digest, "size": artifact.size}
            for artifact in artifacts
        ],
    )


def of_job(connection: Connection, job_id: str, name: StageName) -> DoneStage:
    """How far a stage of the job is."""
    row = connection.execute(
        sa.select(JobStage.state, JobStage.key, JobStage.note).where(
            JobStage.job_id == job_id, JobStage.name == name.value
        )
    ).one()
    return DoneStage(StageState(row.state), row.key, row.note)


def result(database: Database, key: str) -> ResultRecord | None:
    """What is filed under a stage's key."""
    with database.read() as connection:
        row = connection.execute(_RESULT, {"of_key": key}).one_or_none()
    if row is None:
        return None
    return ResultRecord(
        key=row.key,
        stage=StageName(row.stage),
        seconds=row.seconds,
        peak_bytes=row.peak_bytes,
        outputs=_outputs(row.outputs),
        result=row.result,
    )


def forget_result(database: Database, key: str) -> None:
    """Drop a result whose files are gone or damaged, so that the stage runs again."""
    with database.write() as connection:
        connection.execute(_DELETE_RESULT, {"of_key": key})


def outputs_by_key(connection: Connection) -> dict[str, tuple[Artifact, ...]]:
    """The outputs of every filed result."""
    rows = connection.execute(sa.select(StageResultRow.key, StageResultRow.outputs))
    return {row.key: _outputs(row.outputs) for row in rows}


def typical_seconds(connection: Connection) -> dict[StageName, float]:
    """How long each stage took in its latest runs, the median."""
    latest: dict[StageName, list[float]] = {}
    for stage, seconds in connection.execute(_LATEST_SECONDS):
        latest.setdefault(StageName(stage), []).append(seconds)
    return {name: statistics.median_high(seconds) for name, seconds in latest.items()}


def _outputs(rows: Sequence[dict[str, Any]]) -> tuple[Artifact, ...]:
    return tuple(Artifact(ArtifactName(row["name"]), row["digest"], row["size"]) for row in rows)


def _known_to_owner(connection: Connection, job_id: str, key: str) -> bool:
    """Whether a job that the owner of this one sees had the result before; whoever owns no token sees all."""
    owner = connection.scalar(sa.select(JobOwner.token_id).where(JobOwner.job_id == job_id))
    if owner is None:
        return True
    own = sa.select(JobStage.job_id).join(JobOwner, JobOwner.job_id == JobStage.job_id)
    earlier = own.where(JobOwner.token_id == owner, JobStage.key == key, JobStage.job_id != job_id).limit(1)
    return connection.scalar(earlier) is not None


def _set(
    connection: Connection, held: Claim, name: StageName, *, state: StageState | None = None, **values: Any
) -> None:
    if state is not None:
        values["state"] = state.value
    connection.execute(_set_columns(tuple(values)), {"of_job": held.job_id, "of_stage": name.value} | values)


@cache
def _set_columns(columns: tuple[str, ...]) -> sa.Update:
    """The statement that sets these columns of a stage; few are ever asked for."""
    return (
        sa.update(JobStage)
        .where(JobStage.job_id == sa.bindparam("of_job"), JobStage.name == sa.bindparam("of_stage"))
        .values({column: sa.bindparam(column) for column in columns})
    )


def _file(connection: Connection, record: ResultRecord) -> None:
    """Equal stages make equal results: the latest one stays."""
    outputs = [{"name": each.name.value, "digest": each.digest, "size": each.size} for each in record.outputs]
    row = {
        "key": record.key, "stage": record.stage.value, "created_at": now(), "seconds": record.seconds,
        "peak_bytes": record.peak_bytes, "result": record.result, "outputs": outputs,
    }  # fmt: skip
    replace(connection, StageResultRow, [row])


def _replace_metrics(connection: Connection, held: Claim, stage: StageName, metrics: Sequence[MetricRecord]) -> None:
    if held.attempt > 1:
        connection.execute(sa.delete(MetricRow).where(MetricRow.job_id == held.job_id, MetricRow.stage == stage.value))
    by_name = {metric.name: metric for metric in metrics}
    if by_name:
        connection.execute(
            _INSERT_METRICS,
            [
                {"job_id": held.job_id, "stage": stage.value, "name": each.name, "value": each.value, "unit": each.unit}
                for each in by_name.values()
            ],
        )
