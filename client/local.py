"""The embedded farm: a database and a store in a folder of this machine, a background worker when there is work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path

from sqlalchemy.engine import Connection

from client import preflight, views
from client.protocol import EventView, JobView, Submission
from db import digests as digest_cache
from db import events, garbage_collection, jobs, measurements, workers
from db import webhooks as webhook_store
from db.jobs import Submitted
from db.records import JobRecord
from db.session import Database, open_database
from farm import aars, adapter_files, digests, identity, locations, logs, sources
from farm.artifacts import Artifact, ArtifactName
from farm.collected import Collected
from farm.errors import ArtifactDamaged, ArtifactMissing, JobNotFinished, SandboxUnavailable, SettingsInvalid
from farm.identity import ProcessIdentity
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.settings import SandboxMode, Settings
from farm.stages import stages_of
from farm.states import JobState
from farm.store import LocalStore
from farm.store.choice import open_store
from farm.webhooks import Webhook
from pipeline.provenance import stage_code


class LocalFarm:
    """Fulfils client.protocol.Farm on one machine."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database
        self._store = open_store(settings)

    def submit(
        self, spec: JobSpec, webhooks: Sequence[Webhook] = (),
        also: Callable[[Connection, Submitted], None] | None = None, owner: str | None = None,
    ) -> Submission:  # fmt: skip
        """Enqueue a job, or find an identical one; `also` takes part in the transaction, see db.jobs.submit.

        webhooks: who is to hear of its end; `farm serve` sends them.
        owner: the token among whose jobs an equal one is looked for; results of stages are shared all the same.
        """
        preflight.check_model(spec)
        preflight.check_signing(spec.app, self._workers() if spec.app.keystore else ())
        if spec.model_kind.local:
            with sources.opened(spec.model_ref) as streams:
                spec = spec.model_copy(update={"model_digest": self._digest(streams, Path(spec.model))})
        elif spec.lora is not None and spec.model_kind.on_hub:
            with adapter_files.opened(Path(spec.lora)) as streams:
                spec = spec.model_copy(update={"lora_digest": self._digest(streams, Path(spec.lora))})
        key = spec.key(_deciding_files(spec, self._settings))
        sandbox = self._settings.sandbox
        # A job that must run in a sandbox is not answered with one that need not have.
        parts = [owner, *([] if sandbox is SandboxMode.REQUIRED else [sandbox])]
        submitted = jobs.submit(
            self._open(),
            spec,
            key if parts == [None] else digests.of_json([key, *parts]),
            [stage.name for stage in stages_of(spec)],
            self._all_sound,
            _with_webhooks(webhooks, also) if webhooks else also,
            sandbox,
        )
        return Submission(self.job(submitted.job_id), submitted.reused)

    def job(self, job_id: str) -> JobView:
        """One job."""
        with self._open().read() as connection:
            record = jobs.get(connection, job_id)
            return views.job_views(connection, [record])[0]

    def jobs(
        self, states: Sequence[JobState] = (), model: str | None = None, recipe: str | None = None, limit: int = 50
    ) -> list[JobView]:
        """The newest jobs first, filtered."""
        with self._open().read() as connection:
            return views.job_views(connection, jobs.newest(connection, states, model, recipe, limit))

    def latest(self, state: JobState | None = None) -> JobView:
        """The newest job (of that state)."""
        with self._open().read() as connection:
            record = jobs.latest(connection, state)
            return views.job_views(connection, [record])[0]

    def events(self, job_id: str, after: int = 0) -> list[EventView]:
        """Events with an id greater than `after`."""
        with self._open().read() as connection:
            found = events.since(connection, jobs.find(connection, job_id), after)
        return [EventView(each.id, each.at, each.kind, each.stage, each.message) for each in found]

    def logs(self, job_id: str, follow: bool = False) -> Iterator[str]:
        """The stages' log lines in order; with `follow` until the job ends."""
        found = self._record(job_id).id
        if not follow:
            return logs.read(self._settings.logs, found)
        return logs.follow(self._settings.logs, found, ended=lambda: self._record(found).state.terminal)

    def cancel(self, job_id: str) -> JobView:
        """Ask for cancellation."""
        return self.job(jobs.cancel(self._open(), job_id))

    def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again; for one whose artifacts are damaged, another that makes them again."""
        job = self._record(job_id)
        own = self._settings.sandbox
        if job.sandbox is SandboxMode.REQUIRED and own is SandboxMode.OFF and not self._settings.announcing:
            raise SandboxUnavailable(
                f"Job {job.id} was submitted to run in a sandbox, and FARM_SANDBOX is off here; unset it, or run `farm"
                f" submit --clone {job.id}` if you trust the model."
            )
        if job.state is JobState.SUCCEEDED and not self._all_sound(job.artifacts):
            return self.submit(job.spec).job
        return self.job(jobs.retry(self._open(), job.id))

    def import_measurement(
        self, measurement: Measurement, job_id: str | None = None, owner: str | None = None
    ) -> JobView:
        """File what a phone measured with a job that made the model, on behalf of `owner` one of that token's."""
        return self.job(measurements.add(self._open(), measurement, job_id, owner))

    def download(self, job_id: str, name: ArtifactName, target: Path) -> None:
        """Write one artifact to `target`, verified, whole or not at all."""
        job = self._record(job_id)
        for artifact in job.artifacts:
            if artifact.name is name:
                self._store.export(artifact, target)
                return
        if not job.state.terminal:
            raise JobNotFinished(f"Job {job.id} is {job.state} and has no {name} yet; `farm watch {job.id}` waits.")
        raise ArtifactMissing(f"Job {job.id} has no artifact {name}; `farm status {job.id}` shows what it made.")

    def remove(self, job_ids: Sequence[str]) -> Collected:
        """Delete jobs that have ended and what only they have."""
        found = [self._record(job_id).id for job_id in job_ids]
        return garbage_collection.remove_jobs(self._settings, self._open(), self._store, found)

    def ensure_worker(self) -> None:
        """Start a background worker if none is alive and there is work; where there is a broker, workers run anyway."""
        if self._settings.announcing:
            return
        worker_id = jobs.new_id()
        confines = self._settings.sandbox is not SandboxMode.OFF
        workers.start_unless_alive(
            self._open(), worker_id, _alive, lambda: self._start_worker(worker_id), confines=confines
        )

    def close(self) -> None:
        """Give the database's connections back."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> Database:
        if self._database is None:
            try:
                self._settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise SettingsInvalid(
                    f"The farm's folder {self._settings.home} cannot be made ({error.strerror}); set FARM_HOME to a"
                    " folder that you may write."
                ) from error
            self._database = open_database(
                self._settings.database, announcing=self._settings.announcing, migrate=self._settings.migrate
            )
        return self._database

    def _record(self, job_id: str) -> JobRecord:
        with self._open().read() as connection:
            return jobs.get(connection, job_id)

    def _workers(self) -> list[str]:
        """The identities of the workers that are registered and not known to be dead."""
        with self._open().read() as connection:
            return [each.process for each in workers.registered(connection) if _alive(each.process)]

    def _all_sound(self, artifacts: Sequence[Artifact]) -> bool:
        """Whether all are stored, and on this machine's disk as they were; what is damaged goes, to be made again."""
        sound = True
        for artifact in artifacts:
            try:
                if isinstance(self._store, LocalStore):
                    self._store.check(artifact)
            except ArtifactDamaged:
                self._store.discard(artifact)
            except ArtifactMissing:
                sound = False
            sound = sound and self._store.has(artifact)
        return sound

    def _digest(self, streams: Mapping[str, BufferedReader], folder: Path) -> str:
        """The digest of open local files; those that have not changed since they were last read are not read again."""
        statuses = {folder / name: os.fstat(stream.fileno()) for name, stream in streams.items()}
        known = digest_cache.known_files(self._open(), statuses)
        fresh = {
            folder / name: (statuses[folder / name], digests.of_stream(stream))
            for name, stream in streams.items()
            if folder / name not in known
        }
        digest_cache.remember_files(self._open(), fresh)
        known |= {path: digest for path, (_, digest) in fresh.items()}
        return digests.of_json(
            {name: {"digest": known[folder / name], "size": statuses[folder / name].st_size} for name in streams}
        )

    def _start_worker(self, worker_id: str) -> str:
        """Start a background worker in a session of its own; returns its identity."""
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "worker", "--worker-id", worker_id]
        command += ["--idle", str(self._settings.idle_seconds)]
        environment = {**os.environ, "FARM_HOME": str(self._settings.home), "PYTHONPATH": str(locations.ROOT)}
        with (self._settings.logs / "worker.log").open("ab") as log:
            descriptor = log.fileno()
            # Not subprocess.Popen, which would want to see the end of a process that is meant to outlive this one.
            pid = os.posix_spawn(
                sys.executable,
                command,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, descriptor, 1),
                    (os.POSIX_SPAWN_DUP2, descriptor, 2),
                ],
                setsid=True,
            )
        # Until the child is reaped its number stays its own, so the identity is surely the child's.
        return str(identity.of_process(pid))


def _deciding_files(spec: JobSpec, settings: Settings) -> str:
    """The digest of what decides the result beside the spec: the farm's sources, the user's keystore and AAR."""
    given = (Path(spec.app.keystore) if spec.app.keystore is not None else None, aars.file_of(spec.app.aar))
    files = [digests.of_file(path) for path in given if path is not None and path.is_file()]
    code = stage_code.of_job(settings.home)
    return digests.of_json([code, *files]) if files else code


def _with_webhooks(
    given: Sequence[Webhook], also: Callable[[Connection, Submitted], None] | None
) -> Callable[[Connection, Submitted], None]:
    def account(connection: Connection, submitted: Submitted) -> None:
        for each in given:
            webhook_store.add(connection, submitted.job_id, each.url, each.secret)
        if also is not None:
            also(connection, submitted)

    return account


def _alive(process: str) -> bool:
    return not identity.known_dead(ProcessIdentity.parse(process))
