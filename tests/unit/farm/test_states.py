from __future__ import annotations

import pytest

from farm import states
from farm.errors import TransitionRefused
from farm.states import JobState


@pytest.mark.parametrize("state", JobState)
def test_every_state_has_its_row(state: JobState) -> None:
    assert state in states.ALLOWED


def test_which_states_are_terminal() -> None:
    assert {state for state in JobState if state.terminal} == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def test_a_succeeded_job_stays_so() -> None:
    for after in JobState:
        with pytest.raises(TransitionRefused, match="abc is succeeded"):
            states.require(JobState.SUCCEEDED, after, "abc")


def test_retry_and_lost_workers_queue_again() -> None:
    for before in (JobState.RUNNING, JobState.FAILED, JobState.CANCELLED):
        states.require(before, JobState.QUEUED, "abc")
