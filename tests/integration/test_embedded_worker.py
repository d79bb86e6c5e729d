"""The background worker of the embedded farm: started when there is work, one at a time, leaving when idle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from client.local import LocalFarm
from client.protocol import JobView
from db import workers
from db.session import open_database
from farm.identity import ProcessIdentity
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    # The worker reads its settings from its environment, as it does in production.
    for name, value in {"HOME": tmp_path / "home", "IDLE_SECONDS": "1", "POLL_SECONDS": "0.05"}.items():
        monkeypatch.setenv(f"FARM_{name}", str(value))
    own = Settings()
    yield own
    for pid in worker_pids(own):
        os.kill(pid, signal.SIGKILL)


def worker_pids(settings: Settings) -> list[int]:
    database = open_database(settings.database)
    with database.read() as connection:
        found = [ProcessIdentity.parse(worker.process).pid for worker in workers.registered(connection)]
    database.close()
    return [pid for pid in found if psutil.pid_exists(pid)]


def wait_for_end(farm: LocalFarm, job_id: str) -> JobView:
    deadline = time.monotonic() + 60
    while not (job := farm.job(job_id)).state.terminal:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job


def test_from_submit_to_the_workers_leaving(settings: Settings, tmp_path: Path) -> None:
    """A model that vanishes after the submission: the real fetch stage fails, in a real background worker."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.weights.h5").write_bytes(b"weights")
    farm = LocalFarm(settings)
    farm.ensure_worker()
    assert worker_pids(settings) == [], "without work there is no worker"
    job_id = farm.submit(JobSpec(model_kind=ModelKind.FOLDER, model=str(model))).job.id
    (model / "config.json").unlink()
    for _ in range(5):
        farm.ensure_worker()
    [pid] = worker_pids(settings)
    job = wait_for_end(farm, job_id)
    assert job.error is not None
    assert job.error.code in ("model-empty", "model-changed", "model-not-found")
    assert any("Traceback" in line for line in farm.logs(job_id))
    deadline = time.monotonic() + 30
    while worker_pids(settings) and time.monotonic() < deadline:
        # It is a child of this process, which reaps it here as init would otherwise.
        os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    assert worker_pids(settings) == []
    assert (settings.logs / "worker.log").read_text().count("reconciled") == 1
