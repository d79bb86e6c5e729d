"""The commands on the real embedded farm; only its workers stay away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from client.local import LocalFarm
from db.session import HEAD
from farm import errors, locations, settings


class WorkerlessFarm(LocalFarm):
    def ensure_worker(self) -> None:
        """A unit test starts no program."""


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "home"))
    # Asking for one starts a program.
    monkeypatch.setenv("FARM_SANDBOX", "off")

    def call(*words: str):
        return CliRunner().invoke(app, list(words), obj=lambda: WorkerlessFarm(settings.load()))

    return call


def test_a_job_from_submit_to_retry(embedded) -> None:
    model = str(locations.EXAMPLES / "tiny_gpt2")
    submitted = embedded("submit", model, "--quant", "int8")
    assert submitted.exit_code == 0, submitted.output
    job_id = submitted.stdout.split()[1]
    assert "already" in embedded("submit", model, "--quant", "int8").stderr
    assert job_id in embedded("list", "--recipe", "int8", "--state", "queued", "--model", "tiny").stdout
    assert "1 waiting" in embedded("status").stdout
    assert "submitted" in embedded("status", job_id[:4]).stdout
    assert embedded("download", job_id).exit_code == errors.JobNotFinished.exit_code
    assert embedded("run", job_id, "The list").exit_code == errors.JobNotFinished.exit_code
    assert "cancelled" in embedded("cancel", job_id).stdout
    assert embedded("cancel", job_id).exit_code == errors.TransitionRefused.exit_code
    assert embedded("watch", job_id).exit_code == errors.JobCancelled.exit_code
    assert "queued" in embedded("retry", job_id).stdout
    assert embedded("logs", job_id).stdout == ""


def test_an_empty_folder_is_refused_before_anything_is_queued(embedded, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = embedded("submit", str(tmp_path / "empty"))
    assert refused.exit_code == errors.ModelEmpty.exit_code, refused.output
    assert "No jobs yet" in embedded("status").stdout


def test_migrating_is_a_step_of_its_own_where_it_shall_be(embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_MIGRATE", "false")
    refused = embedded("status")
    assert refused.exit_code == errors.DatabaseUnusable.exit_code
    assert "run `farm migrate` once" in refused.stderr
    assert HEAD in embedded("migrate").stdout
    assert json.loads(embedded("migrate", "--json").stdout) == {"revision": HEAD}
    assert embedded("status").exit_code == 0
