"""What phones measured with the models of jobs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from db import jobs
from db.models import ArtifactRow, Job, JobOwner, MeasurementRow
from db.session import Database, now, replace
from farm.artifacts import ArtifactName
from farm.errors import JobNotFound, MeasurementForeign
from farm.measurement import Measurement

# Of one job: more kinds of phones than anybody has, few enough for a page.
MOST_DEVICES = 100


def add(database: Database, measurement: Measurement, prefix: str | None, owner: str | None = None) -> str:
    """File a measurement with the job that it names, else with the newest one that made this model; the job's id.

    An earlier one of the same kind of phone is replaced. owner: only a job of this token. JobNotFound, AmbiguousJob,
    MeasurementForeign.
    """
    with database.write() as connection:
        made = _jobs_of(connection, measurement.model_sha256, owner)
        if prefix is None:
            if not made:
                raise JobNotFound(
                    f"No job of this farm made the model {measurement.model_sha256[:12]} that was measured; give the"
                    " measurement to the farm that built the app."
                )
            job_id = made[0]
        else:
            job_id = jobs.find(connection, prefix, owner)
            if job_id not in made:
                raise MeasurementForeign(
                    f"Job {job_id} did not make the model that was measured; leave --job out to find the one that did."
                )
        _require_room(connection, job_id, measurement.device)
        row = {
            "job_id": job_id, "device": measurement.device, "taken_in_at": now(),
            "content": measurement.model_dump(mode="json"),
        }  # fmt: skip
        replace(connection, MeasurementRow, [row])
    return job_id


def _jobs_of(connection: Connection, model_sha256: str, owner: str | None) -> list[str]:
    """The jobs that made this model, the newest first."""
    query = (
        sa.select(Job.id)
        .join(ArtifactRow, ArtifactRow.job_id == Job.id)
        .where(ArtifactRow.name == ArtifactName.MODEL.value, ArtifactRow.digest == model_sha256)
        .order_by(Job.created_at.desc(), Job.id)
    )
    if owner is not None:
        query = query.join(JobOwner, JobOwner.job_id == Job.id).where(JobOwner.token_id == owner)
    return list(connection.scalars(query))


def _require_room(connection: Connection, job_id: str, device: str) -> None:
    others = sa.select(sa.func.count()).where(MeasurementRow.job_id == job_id, MeasurementRow.device != device)
    if connection.execute(others).scalar_one() >= MOST_DEVICES:
        raise MeasurementForeign(
            f"Job {job_id} has measurements of {MOST_DEVICES} kinds of phones already; no further one is taken in."
        )
