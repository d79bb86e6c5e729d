"""The report tells of the job and not of the machine."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from db.records import JobRecord
from farm.appspec import AppSpec
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode
from farm.states import JobState
from worker import report


def test_no_path_of_the_machine_is_in_the_report() -> None:
    app = AppSpec(keystore="/home/anna/keys/my.p12", key_alias="x", password_source="env:MY_SECRET")  # noqa: S106
    spec = JobSpec(model_kind=ModelKind.FOLDER, model="/home/anna/models/story", model_digest="d" * 64, app=app)
    spec = spec.model_copy(update={"lora": "/home/anna/mine.lora.h5"})
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(JobRecord)), ())
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    values |= {"id": "a" * 10, "state": JobState.RUNNING, "spec": spec, "created_at": moment, "started_at": moment}
    values["sandbox"] = SandboxMode.REQUIRED
    content = report.assemble(JobRecord(**values), [], [], {}, "bubblewrap").decode()
    assert "/home" not in content
    assert "anna" not in content
    assert "MY_SECRET" not in content
    assert '"model": "story"' in content
    assert '"keystore": "my.p12"' in content
    assert '"lora": "mine.lora.h5"' in content


def test_a_reference_of_a_hub_is_told() -> None:
    spec = JobSpec(model_kind=ModelKind.HUGGINGFACE, model="hf://org/name")
    assert report.without_paths(spec) == spec
