"""What phones measured with the farm's models."""

from __future__ import annotations

from fastapi import APIRouter

from client.protocol import JobView
from farm.errors import AmbiguousJob, JobNotFound, MeasurementForeign
from server import visibility
from server.auth import Submitter
from server.problems import documented
from server.requests import MeasurementRequest
from server.state import FarmState

router = APIRouter(prefix="/v1/measurements", tags=["jobs"])


@router.post("", responses=documented(JobNotFound, AmbiguousJob, MeasurementForeign))
def import_measurement(state: FarmState, token: Submitter, request: MeasurementRequest) -> JobView:
    """File a measurement with the job that made the model."""
    found = state.farm.import_measurement(request.measurement, request.job, visibility.owner(state, token))
    return visibility.shown_job(state, token, found)
