"""The database's records as the views that every farm answers with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from client.protocol import ErrorView, JobView, MetricView, StageView
from db import jobs, statistics, workers
from db.records import JobRecord, StageRecord, WorkerRecord
from db.statistics import History
from farm import errors
from farm.stages import BY_NAME, StageName
from farm.states import JobState, StageState

_DONE = (StageState.SUCCEEDED, StageState.REUSED, StageState.SKIPPED)


def job_views(connection: Connection, records: Sequence[JobRecord]) -> list[JobView]:
    """Jobs as views, with their places in the queue and what earlier jobs tell of their times."""
    places, history = jobs.positions(connection, records), statistics.history(connection)
    present = [each for each in workers.registered(connection) if not each.silent] if places else []
    return [job_view(each, places.get(each.id), history, waits_for(each, present)) for each in records]


def job_view(job: JobRecord, position: int | None, history: History, waits: str | None = None) -> JobView:
    """A job as a view."""
    return JobView(
        id=job.id,
        state=job.state,
        spec=job.spec,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempt=job.counted_attempts,
        cancel_requested=job.cancel_requested,
        error=_error(job),
        notes=job.notes,
        stages=tuple(_stage(stage) for stage in job.stages),
        metrics=tuple(MetricView(each.stage, each.name, each.value, each.unit) for each in job.metrics),
        artifacts=job.artifacts,
        position=position,
        progress=progress(job),
        seconds_left=seconds_left(job, position, history),
        measurements=job.measurements,
        sandbox=job.sandbox,
        waits_for=waits,
    )


def waits_for(job: JobRecord, present: Sequence[WorkerRecord]) -> str | None:
    """The kind of worker that a queued job needs, where there are workers and none of them is of it."""
    if job.state is not JobState.QUEUED or not present or any(each.suits(job.format, job.sandbox) for each in present):
        return None
    if any(job.format <= each.format for each in present):
        return "a worker with a sandbox (FARM_SANDBOX=required)"
    return "a worker of the farm's present version"


def progress(job: JobRecord) -> float:
    """The part of the job's work that is done, from 0 to 1, each stage weighing its expected share of the time."""
    if job.state is JobState.SUCCEEDED:
        return 1.0
    weights = {stage.name: BY_NAME[stage.name].weight for stage in job.stages}
    done = sum(weights[stage.name] * stage.progress for stage in job.stages)
    return min(1.0, done / sum(weights.values())) if weights else 0.0


def seconds_left(job: JobRecord, position: int | None, history: History) -> float | None:
    """How long a running or queued job will take until it ends; None when it has, or when a stage was never run before.

    A queued job waits for those before it, which the workers share, each of them as long as a whole job takes.
    """
    if job.state.terminal:
        return None
    waiting = [stage for stage in job.stages if stage.state not in _DONE]
    if any(stage.name not in history.typical for stage in waiting):
        return None
    own = sum(_expected(stage.name, history) * (1 - stage.progress) for stage in waiting)
    before = (position or 0) / history.workers
    return own + before * sum(_expected(stage.name, history) for stage in job.stages)


def _expected(name: StageName, history: History) -> float:
    """Seconds of a stage to come. What depends on no job was made once and is there."""
    stage = BY_NAME[name]
    return history.typical.get(name, 0.0) if stage.inputs or stage.spec_fields else 0.0


def _stage(stage: StageRecord) -> StageView:
    return StageView(
        stage.name, stage.state, stage.progress, stage.activity, stage.seconds, stage.peak_bytes, stage.note
    )


def _error(job: JobRecord) -> ErrorView | None:
    if job.error_code is None or job.error_sentence is None:
        return None
    return ErrorView(job.error_code, errors.from_code(job.error_code, "").exit_code, job.error_sentence)
