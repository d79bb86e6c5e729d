"""The database's records as the views that every farm answers with."""

from __future__ import annotations

from collections.abc import Mapping

from client.protocol import ErrorView, JobView, MetricView, StageView
from db.records import JobRecord, StageRecord
from farm import errors, stages
from farm.stages import StageName
from farm.states import JobState, StageState

_DONE = (StageState.SUCCEEDED, StageState.REUSED, StageState.SKIPPED)


def job_view(job: JobRecord, position: int | None, typical: Mapping[StageName, float]) -> JobView:
    """A job as a view. typical: how many seconds each stage took in earlier jobs."""
    return JobView(
        id=job.id,
        state=job.state,
        spec=job.spec,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempt=job.charged,
        cancel_requested=job.cancel_requested,
        error=_error(job),
        notes=job.notes,
        stages=tuple(_stage(stage) for stage in job.stages),
        metrics=tuple(MetricView(each.stage, each.name, each.value, each.unit) for each in job.metrics),
        artifacts=job.artifacts,
        position=position,
        share=share(job),
        seconds_left=seconds_left(job, typical),
    )


def share(job: JobRecord) -> float:
    """The part of the job's work that is done, from 0 to 1, each stage weighing its expected share of the time."""
    if job.state is JobState.SUCCEEDED:
        return 1.0
    weights = {stage.name: stages.BY_NAME[stage.name].share for stage in job.stages}
    done = sum(weights[stage.name] * stage.share for stage in job.stages)
    return min(1.0, done / sum(weights.values())) if weights else 0.0


def seconds_left(job: JobRecord, typical: Mapping[StageName, float]) -> float | None:
    """How long a running job will still take; None when it does not run or a stage was never run before."""
    if job.state is not JobState.RUNNING:
        return None
    waiting = [stage for stage in job.stages if stage.state not in _DONE]
    if any(stage.name not in typical for stage in waiting):
        return None
    return sum(typical[stage.name] * (1 - stage.share) for stage in waiting)


def _stage(stage: StageRecord) -> StageView:
    return StageView(stage.name, stage.state, stage.share, stage.doing, stage.seconds, stage.peak_bytes, stage.note)


def _error(job: JobRecord) -> ErrorView | None:
    if job.error_code is None or job.error_sentence is None:
        return None
    return ErrorView(job.error_code, errors.from_code(job.error_code, "").exit_code, job.error_sentence)
