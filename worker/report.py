"""The job's report.json: what was asked for, what came of it, and with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from db.records import AttemptRecord, JobRecord
from farm import aars, versions
from farm.artifacts import PUBLISHED, Artifact, ArtifactName
from farm.jobspec import JobSpec
from farm.settings import SandboxMode

FORMAT = 1


class ReportedStage(BaseModel):
    """A stage: seconds and peak_bytes are those of the run that made its result, also when that was reused."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    reused: bool
    seconds: float | None
    peak_bytes: int | None
    note: str | None


class ReportedMetric(BaseModel):
    """A measured figure."""

    model_config = ConfigDict(frozen=True)

    stage: str
    name: str
    value: float
    unit: str


class ReportedArtifact(BaseModel):
    """A file that the job made; size in bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    sha256: str


class ReportedAttempt(BaseModel):
    """A run of the job; reason: why it did not end well."""

    model_config = ConfigDict(frozen=True)

    started_at: str
    ended_at: str | None
    counted: bool
    error: str | None
    reason: str | None


class Report(BaseModel):
    """The whole report."""

    model_config = ConfigDict(frozen=True)

    format: int
    farm_version: str
    job: str
    created_at: str
    started_at: str | None
    spec: JobSpec
    model_digest: str | None
    sandbox: str
    sandbox_asked: SandboxMode
    tools: Mapping[str, str]
    stages: tuple[ReportedStage, ...]
    metrics: tuple[ReportedMetric, ...]
    artifacts: tuple[ReportedArtifact, ...]
    attempts: tuple[ReportedAttempt, ...]
    notes: tuple[str, ...]
    attributes: Mapping[str, Any]


def assemble(
    job: JobRecord, attempts: Sequence[AttemptRecord], notes: Sequence[str], attributes: Mapping[str, Any], sandbox: str
) -> bytes:
    """The report as JSON. attributes: by stage, what the stages found out about themselves."""
    by_name = {artifact.name: artifact for artifact in job.artifacts}
    report = Report(
        format=FORMAT,
        farm_version=versions.of_farm(),
        job=job.id,
        created_at=job.created_at.isoformat(),
        started_at=job.started_at.isoformat() if job.started_at else None,
        spec=without_paths(job.spec),
        model_digest=by_name[ArtifactName.SOURCE].digest if ArtifactName.SOURCE in by_name else None,
        sandbox=sandbox,
        sandbox_asked=job.sandbox,
        tools=versions.of_tools(),
        stages=tuple(
            ReportedStage(
                name=stage.name, state=stage.state, reused=stage.state == "reused", seconds=stage.seconds,
                peak_bytes=stage.peak_bytes, note=stage.note,
            )
            for stage in job.stages
        ),
        metrics=tuple(
            ReportedMetric(stage=metric.stage, name=metric.name, value=metric.value, unit=metric.unit)
            for metric in job.metrics
        ),
        artifacts=tuple(_artifact(by_name[name]) for name in PUBLISHED if name in by_name),
        attempts=tuple(
            ReportedAttempt(
                started_at=attempt.started_at.isoformat(),
                ended_at=attempt.ended_at.isoformat() if attempt.ended_at else None,
                counted=attempt.counted, error=attempt.error_code, reason=attempt.reason,
            )
            for attempt in attempts
        ),
        notes=tuple(notes),
        attributes=attributes,
    )  # fmt: skip
    return report.model_dump_json(indent=2).encode() + b"\n"


def _artifact(artifact: Artifact) -> ReportedArtifact:
    return ReportedArtifact(name=artifact.name, size=artifact.size, sha256=artifact.digest)


def without_paths(spec: JobSpec) -> JobSpec:
    """The spec as it may leave this machine: files are named without their folders."""
    app = spec.app
    aar = aars.file_of(app.aar)
    given = {
        "keystore": Path(app.keystore).name if app.keystore is not None else None,
        "password_source": _kind(app.password_source),
        "key_password_source": _kind(app.key_password_source),
        "aar": f"{aars.FILE_PREFIX}{aar.name}" if aar is not None else app.aar,
    }
    lora = None if spec.lora is None else Path(spec.lora).name
    return spec.model_copy(update={"model": _public_name(spec), "lora": lora, "app": app.model_copy(update=given)})


def _kind(source: str | None) -> str | None:
    """Whether a password is in a file or a variable, and not in which."""
    return None if source is None else source.partition(":")[0] + ":"


def _public_name(spec: JobSpec) -> str:
    return spec.model if spec.model_kind.on_hub else spec.model_ref.short_name
