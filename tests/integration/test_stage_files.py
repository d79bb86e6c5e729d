"""Real jobs from end to end: stages open no file of the repository outside the set that their keys are made from, and
leave nothing of the machine in what they make."""

from __future__ import annotations

import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from client.local import LocalFarm
from farm import locations
from farm.appspec import AppSpec
from farm.artifacts import PUBLISHED, ArtifactName
from farm.jobspec import IoMode, JobSpec
from farm.modelref import ModelKind
from farm.settings import SandboxMode, Settings
from farm.stages import BY_NAME, StageName, stages_of
from farm.states import JobState, StageState
from pipeline.provenance.closure import Repository
from pipeline.provenance.stage_code import PINS, TABLE, stage_closure
from tests.fixtures.machine_traces import of_this_machine, traces
from worker import service
from worker.sandbox import Unconfined
from worker.stage_process import ProcessRunner

PROGRAM = Path(__file__).parents[1] / "fixtures" / "audited_stage.py"
# Not the farm's own: the environment, the toolchain, models, and this test's programs.
FOREIGN = (".venv", ".toolchain", "examples", "tests", ".pytest_cache")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One farm for both jobs: the second one takes what the first one made of the same."""
    folder = tmp_path_factory.mktemp("farm")
    shutil.copytree(locations.EXAMPLES / "tiny_gpt2", folder / "where it lies" / "tiny_gpt2")
    return folder


@pytest.mark.parametrize("io_mode", [IoMode.TOKENS, IoMode.BYTES])
def test_a_job(place: Path, tmp_path: Path, toolchain_with_app: Path, opened_by_app: Path, io_mode: IoMode) -> None:
    settings = Settings(home=place / "home", toolchain=toolchain_with_app, sandbox=SandboxMode.OFF)
    log = tmp_path / "opened"
    runner = ProcessRunner(Unconfined("a test"), 10.0, (sys.executable, str(PROGRAM), str(log)))
    farm = LocalFarm(settings)
    spec = JobSpec(
        model_kind=ModelKind.FOLDER, model=str(place / "where it lies" / "tiny_gpt2"), io_mode=io_mode,
        app=AppSpec(label="Story"),
    )  # fmt: skip
    job_id = farm.submit(spec).job.id
    service.serve(settings, once=True, runner=runner)
    job = farm.job(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    opened = read(log)
    reused = {stage.name for stage in job.stages if stage.state is StageState.REUSED}
    # The job copied the app, which a stage of its own built.
    built = read(opened_by_app)[StageName.APP]
    assert any(file.endswith(".kt") for file in built)
    opened[StageName.APP] |= built
    assert set(opened) - {StageName.APP} == {stage.name for stage in stages_of(spec)} - reused - {StageName.APP}
    # What depends on the I/O mode is never taken from the other job.
    assert reused <= {StageName.FETCH, StageName.CHECK, StageName.APP}
    repository = Repository.of_farm()
    for name, files in opened.items():
        closure = stage_closure(repository, BY_NAME[name])
        allowed = closure.files | ({TABLE} if PINS in closure.sources else set())
        assert files - allowed == set(), f"{name} opens files that its key does not cover"
        assert f"pipeline/stages/{name.replace('-', '_')}.py" in files

    made = tmp_path / "made"
    made.mkdir()
    # LiteRT-LM has tokens in and out alone.
    published = [one for one in PUBLISHED if one is not ArtifactName.LITERT_LM or io_mode is IoMode.TOKENS]
    for artifact in published:
        farm.download(job_id, artifact, made / artifact)
    assert traces([made / artifact for artifact in published], of_this_machine(place, tmp_path, locations.ROOT)) == []
    # What names the job is in the app alone, never in what other jobs of the model are given too.
    shared = [made / artifact for artifact in (ArtifactName.MODEL, ArtifactName.MODEL_INFO, ArtifactName.GOLDEN)]
    assert traces(shared, [re.compile(b"Story"), re.compile(job_id.encode())]) == []


def read(log: Path) -> dict[StageName, set[str]]:
    """The files of the repository by stage; a compiled module stands for its source, a folder for all in it."""
    found: dict[StageName, set[str]] = defaultdict(set)
    for line in log.read_text().splitlines():
        name, _, text = line.partition("\t")
        path = Path(text)
        if not path.is_relative_to(locations.ROOT) or any(
            path.is_relative_to(locations.ROOT / each) for each in FOREIGN
        ):
            continue
        files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
        found[StageName(name)] |= {source_of(each) for each in files}
    return found


def source_of(path: Path) -> str:
    if path.parent.name == "__pycache__":
        path = path.parents[1] / f"{path.name.split('.')[0]}.py"
    return path.relative_to(locations.ROOT).as_posix()
