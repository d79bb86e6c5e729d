"""What the database answers with: frozen records, free of SQLAlchemy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from farm.artifacts import Artifact
from farm.jobspec import FORMAT, JobSpec
from farm.measurement import Measurement
from farm.settings import SandboxMode
from farm.stages import StageName
from farm.states import JobState, StageState


@dataclass(frozen=True)
class StageRecord:
    """One stage of a job; see client.protocol.StageView."""

    name: StageName
    state: StageState
    key: str | None
    progress: float
    activity: str
    note: str | None
    attempt: int | None
    seconds: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class MetricRecord:
    """One measured figure of a stage."""

    stage: StageName
    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class AttemptRecord:
    """One claim of a job. reason: how it ended when not well; counted: whether it counts against the job."""

    number: int
    worker_id: str
    started_at: datetime
    ended_at: datetime | None
    counted: bool
    error_code: str | None
    reason: str | None


@dataclass(frozen=True)
class JobRecord:
    """One job with all that belongs to it. attempt: the fence's number; sandbox: see db.models.Job."""

    id: str
    key: str
    state: JobState
    spec: JobSpec
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    counted_attempts: int
    worker_id: str | None
    cancel_requested: bool
    error_code: str | None
    error_sentence: str | None
    notes: tuple[str, ...]
    stages: tuple[StageRecord, ...]
    metrics: tuple[MetricRecord, ...]
    artifacts: tuple[Artifact, ...]
    measurements: tuple[Measurement, ...] = ()
    format: int = FORMAT
    sandbox: SandboxMode = SandboxMode.REQUIRED


@dataclass(frozen=True)
class EventRecord:
    """Something that happened to a job."""

    id: int
    at: datetime
    kind: str
    stage: StageName | None
    message: str


@dataclass(frozen=True)
class ResultRecord:
    """What a stage made, filed under its key. result: metrics, notes, skips and facts as the worker wrote them."""

    key: str
    stage: StageName
    seconds: float
    peak_bytes: int | None
    outputs: tuple[Artifact, ...]
    result: dict[str, Any]


@dataclass(frozen=True)
class WorkerRecord:
    """A worker that is registered. silent: it has not been seen for so long that it must be gone, wherever it ran.
    format, confines: see db.models.Worker."""

    id: str
    process: str
    started_at: datetime
    silent: bool = False
    format: int = FORMAT
    confines: bool = True

    def suits(self, job_format: int, sandbox: SandboxMode) -> bool:
        """Whether it may run a job of that format, submitted under that mode."""
        return job_format <= self.format and (self.confines or sandbox is not SandboxMode.REQUIRED)
