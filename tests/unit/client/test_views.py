"""Shares and times that views tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from client import views
from db.records import JobRecord, StageRecord
from db.statistics import History
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import BY_NAME, STAGES, StageName
from farm.states import JobState, StageState

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
TYPICAL = {stage.name: 10.0 for stage in STAGES}


def record(state: JobState, shares: dict[StageName, float], error: str | None = None) -> JobRecord:
    """A job whose stages have these shares done."""
    stages = tuple(
        StageRecord(
            stage.name,
            StageState.SUCCEEDED if shares.get(stage.name) == 1.0 else StageState.PENDING,
            None, shares.get(stage.name, 0.0), "", None, None, None, None,
        )
        for stage in STAGES
    )  # fmt: skip
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2")
    return JobRecord(
        id="a", key="k", state=state, spec=spec, created_at=MOMENT, queued_at=MOMENT, started_at=None,
        finished_at=None, attempt=3, counted_attempts=2, worker_id=None, cancel_requested=False, error_code=error,
        error_sentence=error and "A sentence.", notes=(), stages=stages, metrics=(), artifacts=(),
    )  # fmt: skip


def test_progress_weighs_the_stages() -> None:
    half = record(JobState.RUNNING, {StageName.FETCH: 1.0, StageName.CONVERT: 0.5})
    total = sum(stage.weight for stage in STAGES)
    expected = (BY_NAME[StageName.FETCH].weight + BY_NAME[StageName.CONVERT].weight / 2) / total
    assert views.progress(half) == pytest.approx(expected)
    assert views.progress(record(JobState.SUCCEEDED, {})) == 1.0


def test_seconds_left_come_from_earlier_runs() -> None:
    running = record(JobState.RUNNING, {StageName.FETCH: 1.0, StageName.CHECK: 1.0, StageName.CONVERT: 0.25})
    to_come = STAGES[STAGES.index(BY_NAME[StageName.CONVERT]) + 1 :]
    # The app is built once and is there; it is among those to come.
    assert views.seconds_left(running, None, History(TYPICAL)) == pytest.approx(7.5 + 10 * (len(to_come) - 1))


def test_a_queued_job_waits_for_those_before_it() -> None:
    queued = record(JobState.QUEUED, {})
    whole = 10.0 * (len(STAGES) - 1)
    assert views.seconds_left(queued, 0, History(TYPICAL)) == pytest.approx(whole)
    assert views.seconds_left(queued, 3, History(TYPICAL)) == pytest.approx(4 * whole)
    assert views.seconds_left(queued, 3, History(TYPICAL, workers=2)) == pytest.approx(2.5 * whole)


def test_seconds_left_are_unknown_without_earlier_runs_or_once_the_job_has_ended() -> None:
    assert views.seconds_left(record(JobState.RUNNING, {}), None, History({StageName.FETCH: 1.0})) is None
    assert views.seconds_left(record(JobState.QUEUED, {}), 0, History({})) is None
    assert views.seconds_left(record(JobState.SUCCEEDED, {}), None, History(TYPICAL)) is None


def test_an_error_has_its_exit_code_and_the_attempts_are_those_charged() -> None:
    view = views.job_view(record(JobState.FAILED, {}, "quality-missed"), None, History({}))
    assert view.error is not None
    assert (view.error.code, view.error.exit_code, view.error.sentence) == ("quality-missed", 52, "A sentence.")
    assert view.attempt == 2
