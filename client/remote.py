"""A farm elsewhere, over its HTTP API."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import httpx
from httpx_sse import EventSource

from client import preflight, transfers
from client.http import HttpFarm
from client.protocol import EventView, JobView, Submission
from client.transfers import RetryBudget
from farm import digests, sources
from farm.artifacts import ArtifactName
from farm.collected import Collected
from farm.errors import ArtifactMissing, FarmUnreachable, JobNotFinished, JobNotFound, ModelChanged, NoJobYet
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.modelref import ModelKind, ModelRef
from farm.states import JobState
from farm.webhooks import Webhook

PAGE = 200
LOG_PAGE = 10_000


@dataclass(frozen=True)
class _Page:
    jobs: list[JobView]
    next: str | None


@dataclass(frozen=True)
class _LogPage:
    lines: list[str]
    next: str | None
    ended: bool


@dataclass(frozen=True)
class _Missing:
    digest: str
    size: int
    offset: int


@dataclass(frozen=True)
class _Model:
    digest: str
    complete: bool
    missing: list[_Missing]


class RemoteFarm:
    """Fulfils client.protocol.Farm. Beside its errors every method may raise FarmUnreachable, NotAuthenticated,
    NotPermitted and AnswerUnusable."""

    def __init__(self, http: HttpFarm) -> None:
        self._http = http

    def submit(self, spec: JobSpec, webhooks: Sequence[Webhook] = ()) -> Submission:
        """Enqueue a job, or find an identical one. Of a local model and its adapter, the files that the farm lacks are
        uploaded."""
        preflight.check_model(spec)
        if spec.model_kind.local:
            name, digest = spec.model_ref.short_name, self._upload(spec.model_ref)
            lora = None if spec.lora is None else PurePath(spec.lora).name
            uploaded = {"model_kind": ModelKind.UPLOADED, "model": name, "model_digest": digest, "lora": lora}
            spec = spec.model_copy(update=uploaded)
        body: dict[str, object] = {"spec": spec.model_dump(mode="json")}
        if webhooks:
            body["webhooks"] = [{"url": each.url, "secret": each.secret} for each in webhooks]
        submission: Submission = self._http.ask(Submission, "POST", "/v1/jobs", json=body)
        return submission

    def job(self, job_id: str) -> JobView:
        """One job."""
        job: JobView = self._http.ask(JobView, "GET", self._path(job_id))
        return job

    def jobs(
        self, states: Sequence[JobState] = (), model: str | None = None, recipe: str | None = None, limit: int = 50
    ) -> list[JobView]:
        """The newest jobs first, filtered."""
        found: list[JobView] = []
        query = {"state": [state.value for state in states], "model": model, "recipe": recipe}
        given = {name: value for name, value in query.items() if value}
        before: str | None = None
        while len(found) < limit:
            place = {"before": before} if before else {}
            parameters = {**given, **place, "limit": min(PAGE, limit - len(found))}
            page: _Page = self._http.ask(_Page, "GET", "/v1/jobs", params=parameters)
            found += page.jobs
            before = page.next
            if before is None:
                break
        return found

    def latest(self, state: JobState | None = None) -> JobView:
        """The newest job (of that state)."""
        found = self.jobs(states=(state,) if state else (), limit=1)
        if not found:
            kind = f"{state} " if state else ""
            raise NoJobYet(f"There is no {kind}job yet; `farm submit` makes one.")
        return found[0]

    def events(self, job_id: str, after: int = 0) -> list[EventView]:
        """Events with an id greater than `after`."""
        path = f"{self._path(job_id)}/events"
        found: list[EventView] = self._http.ask(list[EventView], "GET", path, params={"after": after})
        return found

    def logs(self, job_id: str, follow: bool = False) -> Iterator[str]:
        """The stages' log lines in order; with `follow` until the job ends, over as many connections as it takes."""
        path = f"{self._path(self.job(job_id).id)}/logs"
        return self._follow(path) if follow else self._read(path)

    def cancel(self, job_id: str) -> JobView:
        """Ask for cancellation."""
        job: JobView = self._http.ask(JobView, "POST", f"{self._path(job_id)}/cancel")
        return job

    def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again."""
        job: JobView = self._http.ask(JobView, "POST", f"{self._path(job_id)}/retry")
        return job

    def import_measurement(self, measurement: Measurement, job_id: str | None = None) -> JobView:
        """File what a phone measured with a job that made the model."""
        body = {"measurement": measurement.model_dump(mode="json"), "job": job_id}
        job: JobView = self._http.ask(JobView, "POST", "/v1/measurements", json=body)
        return job

    def download(self, job_id: str, name: ArtifactName, target: Path) -> None:
        """Write one artifact to `target`, verified, whole or not at all."""
        job = self.job(job_id)
        for artifact in job.artifacts:
            if artifact.name is name and not name.is_folder:
                transfers.download(self._http, f"{self._path(job.id)}/artifacts/{name.value}", artifact, target)
                return
        if not job.state.terminal:
            raise JobNotFinished(f"Job {job.id} is {job.state} and has no {name} yet; `farm watch {job.id}` waits.")
        raise ArtifactMissing(f"Job {job.id} has no artifact {name}; `farm status {job.id}` shows what it made.")

    def remove(self, job_ids: Sequence[str]) -> Collected:
        """Delete jobs that have ended and what only they have, one after another."""
        gone: list[Collected] = [self._http.ask(Collected, "DELETE", self._path(job_id)) for job_id in job_ids]
        return Collected(
            sum(one.jobs for one in gone), sum(one.results for one in gone), sum(one.files for one in gone),
            sum(one.bytes for one in gone),
        )  # fmt: skip

    def ensure_worker(self) -> None:
        """The farm itself sees to its workers."""

    def _path(self, job_id: str) -> str:
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,9}", job_id, re.ASCII) is None:
            raise JobNotFound(f"There is no job {job_id!r}; `farm list` shows the jobs.")
        return f"/v1/jobs/{job_id.lower()}"

    def _upload(self, ref: ModelRef) -> str:
        """Bring the model's files to the farm; the digest by which a job names them."""
        with sources.opened(ref) as streams:
            listing: dict[str, dict[str, str | int]] = {
                name: {"digest": digests.of_stream(stream), "size": os.fstat(stream.fileno()).st_size}
                for name, stream in streams.items()
            }
            model = self._announce(listing)
            names = {listing[name]["digest"]: name for name in streams}
            for missing in model.missing:
                name = names[missing.digest]
                transfers.upload(self._http, name, streams[name], missing.digest, missing.offset)
        model = self._announce(listing) if model.missing else model
        if not model.complete or model.digest != sources.digest_of_listing(listing):
            raise ModelChanged(f"The files of {ref.text} changed while they were uploaded; submit the model again.")
        return model.digest

    def _announce(self, listing: dict[str, dict[str, str | int]]) -> _Model:
        model: _Model = self._http.ask(_Model, "POST", "/v1/models", json={"files": listing})
        return model

    def _read(self, path: str) -> Iterator[str]:
        after: str | None = None
        while True:
            parameters = {"limit": LOG_PAGE, **({"after": after} if after else {})}
            page: _LogPage = self._http.ask(_LogPage, "GET", path, params=parameters)
            yield from page.lines
            if len(page.lines) < LOG_PAGE:
                return
            after = page.next

    def _follow(self, path: str) -> Iterator[str]:
        """Each event's id is the place after its line; a line counts once its event has come whole."""
        after: str | None = None
        budget, events = RetryBudget(), 0
        while True:
            try:
                with self._http.stream("GET", f"{path}/stream", headers=_last(after)) as answer:
                    for event in EventSource(answer).iter_sse():
                        if event.event == "end":
                            return
                        if event.data:
                            after, events = event.id, events + 1
                            yield json.loads(event.data)
                # Ended without `end`: the farm asks to connect again.
            except httpx.TransportError as error:
                budget.use(events, self._http.unreachable(error))
            except FarmUnreachable as error:
                budget.use(events, error)


def _last(event_id: str | None) -> dict[str, str]:
    return {"Last-Event-ID": event_id} if event_id else {}
