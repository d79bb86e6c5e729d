"""The limits of a stage: memory and time; what passes them is gone, told as such, and harms nobody else."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.models import Attempt
from farm import stages
from farm.errors import OutOfMemory, StageTimeout
from farm.stages import STAGES
from farm.states import JobState
from tests.faults.test_stopping import marked, submit_tree


@pytest.mark.goal(id="R11")
def test_a_stage_over_its_memory_is_stopped_and_others_go_on(make_farm, trial) -> None:
    attempts = 3 if trial.full else 1
    yard = make_farm(memory_limit=100 << 20, max_attempts=attempts)
    hungry = [yard.submit({"convert": ["memory", 200 << 20], "seed": n}) for n in range(trial.size(1, 10))]
    modest = [yard.submit({"seed": 100 + n}) for n in range(trial.size(1, 10))]
    yard.start_worker()
    ended = [yard.wait(job_id, 300) for job_id in hungry]
    told = sum(job.error is not None and job.error.code == OutOfMemory.code() for job in ended)
    unharmed = sum(yard.wait(job_id, 60).state is JobState.SUCCEEDED for job_id in modest)
    trial.measured(
        f"{told} of {len(hungry)} shown as out of memory, {max(job.attempt for job in ended)} attempts at most,"
        f" {unharmed} of {len(modest)} others succeeded"
    )
    assert (told, unharmed) == (len(hungry), len(modest))
    assert {job.attempt for job in ended} == {attempts}
    assert "limit of 100 MiB" in ended[0].error.sentence
    assert {stage.name.value: stage.peak_bytes for stage in ended[0].stages}["convert"] >= 100 << 20


@pytest.mark.goal(id="R16")
def test_a_stage_over_its_time_is_stopped(make_farm, trial, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With grandchildren that left its process group and ignore SIGTERM."""
    limit = 1.0
    monkeypatch.setattr(stages, "STAGES", [dataclasses.replace(stage, time_limit=limit) for stage in STAGES])
    yard = make_farm(max_attempts=1)
    yard.start_worker()
    slowest = timedelta()
    wanted = trial.size(1, 10)
    right = 0
    for number in range(wanted):
        job = yard.wait(submit_tree(yard, place, number), 60)
        yard.until(lambda: marked(yard) == 0, 15)
        gone = time.time()
        assert job.error is not None
        right += job.error.code == StageTimeout.code() and "limit of 1 s" in job.error.sentence
        with yard.database().read() as connection:
            began = connection.scalar(sa.select(Attempt.started_at).where(Attempt.job_id == job.id))
        slowest = max(slowest, timedelta(seconds=gone - began.timestamp()))
    trial.measured(
        f"{right} of {wanted} stopped; the slowest tree gone {slowest.total_seconds():.1f} s after its start"
    )
    assert right == wanted
    assert slowest <= timedelta(seconds=limit + 10)
