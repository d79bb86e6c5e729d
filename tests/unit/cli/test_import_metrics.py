"""`farm import-metrics`, with the farm in memory and with a real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from client.local import LocalFarm
from db import measurements
from db.models import ArtifactRow
from db.session import open_database
from farm import errors
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.states import JobState
from tests.fixtures.shared_measurement import SHARED


def test_a_measurement_stands_beside_the_jobs_own_figures(farm, memory_farm) -> None:
    Path("shared.json").write_text(json.dumps(SHARED))
    job = memory_farm.add(JobState.SUCCEEDED)
    ran = farm("import-metrics", "shared.json")
    assert ran.code == 0, ran.stderr
    for said in (job.id, "Google Pixel 7, Android 14", "208.5", "20 ms", "120 MB"):
        assert said in ran.stdout
    assert "Google Pixel 7" in farm("status", job.id).stdout
    assert farm("status", job.id, "--json").json["measurements"] == [SHARED]
    downloaded = farm("download", job.id, "--only", "measurements.json", "--json").json["files"]
    assert [(one["name"], one["size"]) for one in downloaded] == [
        ("measurements.json", Path("measurements.json").stat().st_size)
    ]
    written = json.loads(Path("measurements.json").read_text())
    assert written == {"format": 1, "job": job.id, "measurements": [SHARED]}
    Path("shared.json").write_text("{}")
    assert farm("import-metrics", "shared.json").code == errors.MeasurementUnreadable.exit_code


def test_a_download_brings_what_phones_measured_only_once_one_did(farm, memory_farm) -> None:
    memory_farm.add(JobState.SUCCEEDED)
    refused = farm("download", "--only", "measurements.json")
    assert refused.code == errors.ArtifactMissing.exit_code
    assert "farm import-metrics" in refused.error
    assert farm("download").code == 0
    assert not Path("measurements.json").exists()
    for rate in (1.0, 2.0):
        Path("shared.json").write_text(json.dumps(SHARED | {"tokens_per_second": rate}))
        assert farm("import-metrics", "shared.json").code == 0
        assert farm("download", "--force").code == 0
        taken = json.loads(Path("measurements.json").read_text())["measurements"]
        assert [one["tokens_per_second"] for one in taken] == [rate]
    assert "measurements.json" in farm("download").stdout
    Path("shared.json").write_text(json.dumps(SHARED))
    assert farm("import-metrics", "shared.json").code == 0
    assert "measurements.json exists with another content" in farm("download").error


def test_it_is_filed_with_the_job_that_made_the_model(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    farm = LocalFarm(settings)
    ids = [farm.submit(JobSpec(model_kind=ModelKind.PRESET, model=name)).job.id for name in ("one", "two")]
    with open_database(settings.database).write() as connection:
        row = {"job_id": ids[0], "name": ArtifactName.MODEL.value, "digest": "0" * 64, "size": 1}
        connection.execute(sa.insert(ArtifactRow), [row])
    for rate in (1.0, 2.0):
        found = farm.import_measurement(Measurement.model_validate(SHARED | {"tokens_per_second": rate}))
    assert found.id == ids[0]
    assert [each.tokens_per_second for each in found.measurements] == [2.0], "the same phone's latest"
    with pytest.raises(errors.MeasurementForeign, match="did not make the model"):
        farm.import_measurement(Measurement.model_validate(SHARED), ids[1])
    with pytest.raises(errors.JobNotFound, match="No job of this farm"):
        farm.import_measurement(Measurement.model_validate(SHARED | {"model_sha256": "1" * 64}))


def test_a_job_takes_in_as_many_phones_as_fit_on_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "MOST_DEVICES", 2)
    settings = Settings(home=tmp_path)
    farm = LocalFarm(settings)
    job = farm.submit(JobSpec(model_kind=ModelKind.PRESET, model="one")).job
    with open_database(settings.database).write() as connection:
        row = {"job_id": job.id, "name": ArtifactName.MODEL.value, "digest": "0" * 64, "size": 1}
        connection.execute(sa.insert(ArtifactRow), [row])
    for device in ("A", "B", "A"):
        farm.import_measurement(Measurement.model_validate(SHARED | {"device": device}), job.id[:4])
    with pytest.raises(errors.MeasurementForeign, match="2 kinds"):
        farm.import_measurement(Measurement.model_validate(SHARED | {"device": "C"}))
