"""What every farm can do, embedded or remote, and the frozen views that it answers with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from farm.artifacts import Artifact, ArtifactName
from farm.collected import Collected
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.settings import SandboxMode
from farm.stages import StageName
from farm.states import JobState, StageState
from farm.webhooks import Webhook


@dataclass(frozen=True)
class MetricView:
    """One measured figure of a stage."""

    stage: StageName
    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class StageView:
    """One stage of a job. seconds and peak_bytes (whole process tree) once it ended; progress and activity while it
    runs; note: why it was skipped or reused."""

    name: StageName
    state: StageState
    progress: float
    activity: str
    seconds: float | None
    peak_bytes: int | None
    note: str | None


@dataclass(frozen=True)
class ErrorView:
    """Why a job failed: the error's stable code, exit code and sentence."""

    code: str
    exit_code: int
    sentence: str


@dataclass(frozen=True)
class JobView:
    """One job. position: place in the queue, 0 is next, None unless queued. progress: part of the work done, 0 to 1.
    seconds_left: until it ends, estimated from earlier jobs, None when unknown. measurements: by phones, with the job's
    model. sandbox: the mode under which it was submitted; waits_for: the kind of worker that a queued job needs and
    that is not there."""

    id: str
    state: JobState
    spec: JobSpec
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    cancel_requested: bool
    error: ErrorView | None
    notes: tuple[str, ...]
    stages: tuple[StageView, ...]
    metrics: tuple[MetricView, ...]
    artifacts: tuple[Artifact, ...]
    position: int | None
    progress: float
    seconds_left: float | None
    measurements: tuple[Measurement, ...] = ()
    sandbox: SandboxMode = SandboxMode.AUTO
    waits_for: str | None = None


@dataclass(frozen=True)
class EventView:
    """Something that happened to a job, in order of `id`."""

    id: int
    at: datetime
    kind: str
    stage: StageName | None
    message: str


@dataclass(frozen=True)
class Submission:
    """The answer to a submit: `reused` when an identical job already is there."""

    job: JobView
    reused: bool


class Farm(Protocol):
    """A farm. Every method that takes a job id takes any unique prefix of one."""

    def submit(self, spec: JobSpec, webhooks: Sequence[Webhook] = ()) -> Submission:
        """Enqueue a job, or find an identical one. The model is looked up; ModelError when that fails at once.

        webhooks: who is to hear of its end.
        """

    def job(self, job_id: str) -> JobView:
        """One job; JobNotFound, AmbiguousJob."""

    def jobs(
        self, states: Sequence[JobState] = (), model: str | None = None, recipe: str | None = None, limit: int = 50
    ) -> list[JobView]:
        """The newest jobs first, filtered."""

    def latest(self, state: JobState | None = None) -> JobView:
        """The newest job (of that state); NoJobYet."""

    def events(self, job_id: str, after: int = 0) -> list[EventView]:
        """Events with an id greater than `after`."""

    def logs(self, job_id: str, follow: bool = False) -> Iterator[str]:
        """The stages' log lines in order; with `follow` until the job ends."""

    def cancel(self, job_id: str) -> JobView:
        """Ask for cancellation; TransitionRefused when the job has ended."""

    def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again."""

    def import_measurement(self, measurement: Measurement, job_id: str | None = None) -> JobView:
        """File what a phone measured with the job, or with the newest one that made the model that was measured."""

    def download(self, job_id: str, name: ArtifactName, target: Path) -> None:
        """Write one artifact to `target`, verified, whole or not at all; ArtifactMissing, ArtifactDamaged."""

    def remove(self, job_ids: Sequence[str]) -> Collected:
        """Delete jobs that have ended and what only they have; TransitionRefused for one that waits or runs."""

    def ensure_worker(self) -> None:
        """Make sure that somebody runs the queued jobs (embedded: start a background worker if none is alive)."""
