"""A farm in memory that runs its jobs while somebody looks, and a runner that hands it to the commands."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import progress
from cli.main import app
from client.protocol import ErrorView, EventView, JobView, MetricView, StageView, Submission
from farm import errors, states
from farm.artifacts import Artifact, ArtifactName
from farm.collected import Collected
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.stages import STAGES, StageName
from farm.states import JobState, StageState
from farm.webhooks import Webhook

CONTENTS = {
    ArtifactName.APK: b"PK an app" * 1000,
    ArtifactName.BUNDLE: b"PK a bundle" * 1000,
    ArtifactName.LIBRARY: b"PK a library" * 1000,
    ArtifactName.PROJECT: b"PK a project" * 1000,
    ArtifactName.MODEL: b"TFL3 a model" * 500,
    ArtifactName.LITERT_LM: b"LITERTLM a model",
    ArtifactName.TOKENIZER: b"{}",
    ArtifactName.MODEL_INFO: b'{"format": 1}',
    ArtifactName.OPS: b'{"format": 1, "operators": 0, "runtime": null, "ops": []}',
    ArtifactName.GOLDEN: b'{"prompts": []}',
    ArtifactName.MODEL_CARD: b'{"format": 1}',
    ArtifactName.SCREENSHOT_LIGHT: b"light",
    ArtifactName.SCREENSHOT_DARK: b"dark",
    ArtifactName.REPORT: b'{"state": "succeeded"}',
    ArtifactName.REFERENCE: b"numbers",
}
MADE_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IDS = ("kq3xf7m2pa", "kb72hwq4nd", "m5zt3r6gva", "t2yd7c4xse", "w7np3k5jqb", "a4hs6u2vre")


class MemoryFarm:
    """Fulfils client.protocol.Farm. Every look at a running job lets it finish one stage.

    fails_at: the stage at which the next jobs fail. interrupts: raise KeyboardInterrupt at that many looks from now.
    """

    def __init__(self) -> None:
        self.contents = dict(CONTENTS)
        self.views: dict[str, JobView] = {}
        self.history: dict[str, list[EventView]] = {}
        self.lines: dict[str, list[str]] = {}
        self.workers_asked = 0
        self.webhooks: list[Webhook] = []
        self.fails_at: StageName | None = None
        self.holds = False
        self.interrupts: int | None = None

    def submit(self, spec: JobSpec, webhooks: Sequence[Webhook] = ()) -> Submission:
        self.webhooks += webhooks
        equal = next(
            (view for view in self.views.values() if view.spec == spec and view.state is not JobState.FAILED), None
        )
        if equal is not None:
            return Submission(equal, reused=True)
        job_id = IDS[len(self.views)]
        waiting = sum(view.state is JobState.QUEUED for view in self.views.values())
        self.views[job_id] = JobView(
            id=job_id,
            state=JobState.QUEUED,
            spec=spec,
            created_at=MADE_AT + timedelta(seconds=len(self.views)),
            started_at=None,
            finished_at=None,
            attempt=1,
            cancel_requested=False,
            error=None,
            notes=(),
            stages=tuple(StageView(stage.name, StageState.PENDING, 0.0, "", None, None, None) for stage in STAGES),
            metrics=(),
            artifacts=(),
            position=waiting,
            progress=0.0,
            seconds_left=None,
        )
        self.lines[job_id] = []
        self.history[job_id] = []
        self._record(job_id, "submitted", f"{spec.model} as {spec.recipe}")
        return Submission(self.views[job_id], reused=False)

    def job(self, job_id: str) -> JobView:
        found = self._find(job_id)
        if self.workers_asked and not self.holds:
            self._work(found)
        if self.interrupts is not None:
            self.interrupts -= 1
            if self.interrupts < 0:
                self.interrupts = None
                raise KeyboardInterrupt
        return self.views[found]

    def jobs(
        self, states: Sequence[JobState] = (), model: str | None = None, recipe: str | None = None, limit: int = 50
    ) -> list[JobView]:
        found = sorted(self.views.values(), key=lambda view: view.created_at, reverse=True)
        found = [view for view in found if not states or view.state in states]
        found = [view for view in found if model is None or model in view.spec.model]
        return [view for view in found if recipe is None or view.spec.recipe == recipe][:limit]

    def latest(self, state: JobState | None = None) -> JobView:
        found = self.jobs(states=[state] if state else [])
        if not found:
            raise errors.NoJobYet(f"There is no {state or ''} job yet; `farm submit` makes one.")
        return found[0]

    def events(self, job_id: str, after: int = 0) -> list[EventView]:
        return [event for event in self.history[self._find(job_id)] if event.id > after]

    def logs(self, job_id: str, follow: bool = False) -> Iterator[str]:
        found = self._find(job_id)
        yield from self.lines[found]
        while follow and not self.views[found].state.terminal:
            known = len(self.lines[found])
            self._work(found)
            yield from self.lines[found][known:]

    def cancel(self, job_id: str) -> JobView:
        view = self.views[self._find(job_id)]
        states.require(view.state, JobState.CANCELLED, view.id)
        if view.state is JobState.QUEUED:
            return self._change(view.id, state=JobState.CANCELLED, position=None, finished_at=MADE_AT)
        return self._change(view.id, cancel_requested=True)

    def retry(self, job_id: str) -> JobView:
        view = self.views[self._find(job_id)]
        states.require(view.state, JobState.QUEUED, view.id)
        stages = tuple(StageView(stage.name, StageState.PENDING, 0.0, "", None, None, None) for stage in STAGES)
        self.fails_at = None
        return self._change(
            view.id, state=JobState.QUEUED, error=None, stages=stages, position=0, cancel_requested=False
        )

    def import_measurement(self, measurement: Measurement, job_id: str | None = None) -> JobView:
        found = self.job(job_id) if job_id else self.latest(JobState.SUCCEEDED)
        others = tuple(each for each in found.measurements if each.device != measurement.device)
        return self._change(found.id, measurements=(*others, measurement))

    def download(self, job_id: str, name: ArtifactName, target: Path) -> None:
        if name not in {artifact.name for artifact in self.views[self._find(job_id)].artifacts}:
            raise errors.ArtifactMissing(f"Job {job_id} has no {name}; `farm status {job_id}` shows what it made.")
        target.write_bytes(self.contents[name])

    def remove(self, job_ids: Sequence[str]) -> Collected:
        for job_id in job_ids:
            del self.views[self._find(job_id)]
        return Collected(len(job_ids), 0, 1, 9000)

    def ensure_worker(self) -> None:
        self.workers_asked += 1

    def add(self, state: JobState, model: str = "examples/tiny_gpt2", **app: Any) -> JobView:
        """A job in that state."""
        reference = {"model_kind": "folder", "model": f"/models/{model}"}
        view = self.submit(JobSpec(**reference, recipe="int8", app={"label": f"App {len(self.views)}", **app})).job
        if state is JobState.FAILED:
            self.fails_at = StageName.VERIFY
        while state not in (JobState.QUEUED, JobState.CANCELLED) and self.views[view.id].state is not state:
            self._work(view.id)
        if state is JobState.CANCELLED:
            self.cancel(view.id)
        self.fails_at = None
        return self.views[view.id]

    def _find(self, prefix: str) -> str:
        found = [job_id for job_id in self.views if job_id.startswith(prefix)]
        if not found:
            raise errors.JobNotFound(f"There is no job {prefix!r}; `farm list` shows the jobs.")
        if len(found) > 1:
            raise errors.AmbiguousJob(f"More than one job begins with {prefix!r}; give more letters.")
        return found[0]

    def _work(self, job_id: str) -> None:
        view = self.views[job_id]
        if view.state.terminal:
            return
        if view.cancel_requested:
            self._change(job_id, state=JobState.CANCELLED, finished_at=MADE_AT + timedelta(seconds=20))
            return
        if view.state is JobState.QUEUED:
            self._change(job_id, state=JobState.RUNNING, position=None, started_at=MADE_AT)
            self._set_stage(job_id, 0, state=StageState.RUNNING, activity="reading")
            return
        place = next(place for place, stage in enumerate(view.stages) if stage.state is StageState.RUNNING)
        name = view.stages[place].name
        self.lines[job_id].append(f"{name}: ran")
        self._record(job_id, "stage-succeeded", f"{name} ended", name)
        if name is self.fails_at:
            self._set_stage(job_id, place, state=StageState.FAILED, seconds=1.5)
            sentence = "The artifact agrees with Keras in 40 % of the steps where int8 must reach 90 %; use fp16."
            error = ErrorView("quality-missed", errors.QualityMissed.exit_code, sentence)
            self._change(job_id, state=JobState.FAILED, error=error, finished_at=MADE_AT + timedelta(seconds=9))
            return
        self._set_stage(job_id, place, state=StageState.SUCCEEDED, progress=1.0, seconds=1.5, peak_bytes=300_000_000)
        if place + 1 < len(view.stages):
            self._set_stage(job_id, place + 1, state=StageState.RUNNING, activity="writing the weights")
            done = sum(stage.weight for stage in STAGES[: place + 1]) / sum(stage.weight for stage in STAGES)
            self._change(job_id, progress=done, seconds_left=10.0 * (1 - done))
            return
        artifacts = tuple(
            Artifact(name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in self.contents.items()
        )
        metrics = (
            MetricView(StageName.CONVERT, "file_bytes", 6000, "bytes"),
            MetricView(StageName.CONVERT, "file_to_float32_ratio", 0.2615, "ratio"),
            MetricView(StageName.CONVERT, "graph_cached", 1.0, "flag"),
            MetricView(StageName.VERIFY, "greedy_agreement", 0.985, "share"),
            MetricView(StageName.VERIFY, "greedy_steps", 200, "tokens"),
            MetricView(StageName.VERIFY, "logit_difference", 0.0004, "share"),
            MetricView(StageName.VERIFY, "perplexity", 21.3, "perplexity"),
            MetricView(StageName.VERIFY, "keras_perplexity", 21.1, "perplexity"),
            MetricView(StageName.VERIFY, "perplexity_ratio", 1.0095, "ratio"),
            MetricView(StageName.VERIFY, "prefill_seconds", 0.012, "s"),
            MetricView(StageName.VERIFY, "prefill_tokens", 32, "tokens"),
            MetricView(StageName.VERIFY, "decode_rate", 140.25, "tokens/s"),
            MetricView(StageName.CONVERT, "process_peak_memory", 3e8, "bytes"),
        )
        self._change(
            job_id, state=JobState.SUCCEEDED, progress=1.0, seconds_left=0.0, artifacts=artifacts, metrics=metrics,
            finished_at=MADE_AT + timedelta(seconds=21.4),
        )  # fmt: skip

    def _set_stage(self, job_id: str, place: int, **changes: Any) -> None:
        stages = list(self.views[job_id].stages)
        stages[place] = dataclasses.replace(stages[place], **changes)
        self._change(job_id, stages=tuple(stages))

    def _change(self, job_id: str, **changes: Any) -> JobView:
        self.views[job_id] = dataclasses.replace(self.views[job_id], **changes)
        return self.views[job_id]

    def _record(self, job_id: str, kind: str, message: str, stage: StageName | None = None) -> None:
        number = sum(map(len, self.history.values())) + 1
        self.history[job_id].append(EventView(number, MADE_AT, kind, stage, message))


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a call of the command line gave."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one sentence of an error; fails when there is more or less than one."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.stderr
        assert "Traceback" not in self.stdout + self.stderr
        return lines[0].removeprefix("Error: ")


class CommandLine:
    """Calls `farm` in this process on a farm in memory."""

    def __init__(self, farm: MemoryFarm) -> None:
        self.farm = farm

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> Ran:
        result = CliRunner().invoke(app, list(words), obj=lambda: self.farm, env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def memory_farm() -> MemoryFarm:
    return MemoryFarm()


@pytest.fixture
def farm(memory_farm: MemoryFarm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """The command line, in an empty folder with a model and a farm's folder of its own."""
    (tmp_path / "here" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    return CommandLine(memory_farm)
