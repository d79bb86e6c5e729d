"""The states of a job and of its stages, and which change is allowed."""

from __future__ import annotations

from enum import StrEnum

from farm.errors import TransitionRefused


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing will happen to the job any more by itself."""
        return not ALLOWED[self] - {JobState.QUEUED}


class StageState(StrEnum):
    """Where one stage of a job stands. STOPPED: it ran when the job was cancelled or its worker was lost."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REUSED = "reused"
    SKIPPED = "skipped"
    FAILED = "failed"
    STOPPED = "stopped"


# QUEUED again after RUNNING: the worker was lost or stopped. QUEUED after FAILED or CANCELLED: `farm retry`.
ALLOWED: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}


def require(before: JobState, after: JobState, job_id: str) -> None:
    """Raise TransitionRefused unless a job may go from `before` to `after`."""
    if after not in ALLOWED[before]:
        raise TransitionRefused(f"Job {job_id} is {before} and can't become {after}.")
