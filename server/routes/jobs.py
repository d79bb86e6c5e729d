"""Jobs: submit, find, list, cancel, retry, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.engine import Connection

from client import views
from client.protocol import EventView, JobView, Submission
from db import jobs as job_store
from db import tokens, webhooks
from db.jobs import Submitted
from farm import recipes as recipe_table
from farm.collected import Collected
from farm.errors import AmbiguousJob, JobNotFound, KeystoreUnusable, ModelNotFound, QuotaExceeded, TransitionRefused
from farm.states import JobState
from server import admission, visibility
from server.auth import Reader, Submitter
from server.problems import documented
from server.requests import LARGEST, PRINTABLE, JobId, SubmitRequest
from server.state import FarmState, State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_LOOKUP = (JobNotFound, AmbiguousJob)


@dataclass(frozen=True)
class JobPage:
    """Jobs, the newest first. next: give it as `before` for the next page; None when there is none."""

    jobs: list[JobView]
    next: str | None


@router.post(
    "",
    status_code=201,
    responses={200: {"model": Submission}, **documented(ModelNotFound, KeystoreUnusable, QuotaExceeded)},
)
def submit(state: FarmState, token: Submitter, request: SubmitRequest, response: Response) -> Submission:
    """Queue a job (201), or find an identical one (200). Options that the spec leaves out are taken from an uploaded
    model's metadata."""
    owner = visibility.owner(state, token)
    spec = admission.admit(state.database, state.store, request.spec, owner)

    def account(connection: Connection, submitted: Submitted) -> None:
        if not submitted.reused:
            tokens.own_job(connection, token, submitted.job_id)
        for each in (*([request.webhook] if request.webhook else []), *request.webhooks):
            webhooks.require_room(connection, token, state.server.webhook_pending)
            webhooks.add(connection, submitted.job_id, each.url, each.secret)

    submission = state.farm.submit(spec, also=account, owner=owner)
    if submission.reused:
        response.status_code = 200
    _see_to_a_worker(state)
    return replace(submission, job=visibility.shown_job(state, token, submission.job))


@router.get("", responses=documented(JobNotFound))
def list_jobs(
    state: FarmState,
    token: Reader,
    job_state: Annotated[list[JobState], Query(alias="state", max_length=5)] = [],  # noqa: B006 # FastAPI copies it
    model: Annotated[str | None, Query(max_length=200, pattern=PRINTABLE, description="A part of its name.")] = None,
    recipe: Annotated[str | None, Query(max_length=64, pattern=PRINTABLE)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9]{9}$")] = None,
) -> JobPage:
    """A page of jobs, the newest first."""
    name = None if recipe is None else recipe_table.find(recipe).name
    with state.database.read() as connection:
        found = job_store.newest(connection, job_state, model, name, limit + 1, before, visibility.owner(state, token))
        shown = views.job_views(connection, found[:limit])
    return JobPage(visibility.shown(state, token, shown), shown[-1].id if len(found) > limit else None)


@router.get("/{job_id}", responses=documented(*_LOOKUP))
def get_job(state: FarmState, token: Reader, job_id: JobId) -> JobView:
    """One job."""
    return visibility.shown_job(state, token, state.farm.job(visibility.job_id(state, token, job_id)))


@router.get("/{job_id}/events", responses=documented(*_LOOKUP))
def get_events(
    state: FarmState, token: Reader, job_id: JobId, after: Annotated[int, Query(ge=0, le=LARGEST)] = 0
) -> list[EventView]:
    """What happened to the job, in order, from the event after that id on."""
    return state.paths.events(state.farm.events(visibility.job_id(state, token, job_id), after))


@router.post("/{job_id}/cancel", responses=documented(*_LOOKUP, TransitionRefused))
def cancel_job(state: FarmState, token: Submitter, job_id: JobId) -> JobView:
    """Cancel a queued job, ask for it when it is running."""
    return visibility.shown_job(state, token, state.farm.cancel(visibility.job_id(state, token, job_id)))


@router.post("/{job_id}/retry", responses=documented(*_LOOKUP, TransitionRefused, QuotaExceeded))
def retry_job(state: FarmState, token: Submitter, job_id: JobId) -> JobView:
    """Queue a failed or cancelled job again."""
    retried = job_store.retry(state.database, visibility.job_id(state, token, job_id), tokens.require_queue_room)
    _see_to_a_worker(state)
    return visibility.shown_job(state, token, state.farm.job(retried))


@router.delete("/{job_id}", responses=documented(*_LOOKUP, TransitionRefused))
def delete_job(state: FarmState, token: Submitter, job_id: JobId) -> Collected:
    """Delete a job that has ended, with its logs and the files that no other job has."""
    return state.farm.remove([visibility.job_id(state, token, job_id)])


def _see_to_a_worker(state: State) -> None:
    if state.server.embedded_worker:
        state.farm.ensure_worker()
