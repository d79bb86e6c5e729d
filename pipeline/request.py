"""What a stage process is given and what it returns: two JSON files in its work folder.

WORKDIR/request.json     written by the supervisor
WORKDIR/inputs/        the stage's input artifacts under their names, read-only
WORKDIR/outputs/       where the stage writes its output artifacts under their names
WORKDIR/scratch/       for anything else; also HOME and TMPDIR of the process
WORKDIR/adopt/<cache>/ files that the supervisor moves into the farm's caches after success
WORKDIR/result.json    written by the stage process, last
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from farm import errors
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.plain_text import clean, clean_data
from farm.stages import StageName

REQUEST = "request.json"
RESULT = "result.json"

# A stage's result is a stranger's word: whatever its process was made to write gets into the database and onto pages.
Sentence = Annotated[str, Field(min_length=1, max_length=100_000), AfterValidator(clean)]
Word = Annotated[str, Field(max_length=100), AfterValidator(clean)]
MAX_METRICS, MAX_NOTES = 1000, 200
# What a stage may find out. The others speak of the farm itself, and some of them let a job run again forever.
_STAGE_ERRORS = (
    errors.ModelError, errors.SpecError, errors.CheckError, errors.AarError, errors.SigningError, errors.DiskFull,
    errors.OutOfMemory, errors.StageTimeout, errors.StageCrashed, errors.ToolMissing, errors.FileUnreadable,
)  # fmt: skip


class Metric(BaseModel):
    """One measured figure, for example `decode_rate` 140.2 `tokens/s`."""

    model_config = ConfigDict(frozen=True)

    name: Word
    value: float = Field(allow_inf_nan=False)
    unit: Word


class StageRequest(BaseModel):
    """What to do. caches: the farm's caches, read-only. threads: for interpreters and thread pools.
    permitted_ops: dangerous ops that this farm's operator lets in. arm_seconds: see farm.settings."""

    model_config = ConfigDict(frozen=True)

    stage: StageName
    spec: JobSpec
    workdir: Path
    caches: Path
    toolchain: Path
    keystore: Path | None
    threads: int
    permitted_ops: frozenset[str] = frozenset()
    arm_seconds: float = 0.0

    def input(self, name: ArtifactName) -> Path:
        """Where an input artifact lies."""
        return self.workdir / "inputs" / name.value.rstrip("/")

    def output(self, name: ArtifactName) -> Path:
        """Where an output artifact goes."""
        return self.workdir / "outputs" / name.value.rstrip("/")

    @property
    def scratch(self) -> Path:
        """A folder for temporary files."""
        return self.workdir / "scratch"

    def adopt(self, cache: str) -> Path:
        """The folder whose files go into the farm's cache of that name."""
        folder = self.workdir / "adopt" / cache
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self) -> None:
        """Write `request.json`."""
        (self.workdir / REQUEST).write_text(self.model_dump_json())

    @classmethod
    def read(cls, workdir: Path) -> StageRequest:
        """Read `request.json`."""
        return cls.model_validate_json((workdir / REQUEST).read_bytes())


class Failure(BaseModel):
    """An error as data: `code` is `FarmError.code()`."""

    model_config = ConfigDict(frozen=True)

    code: Word
    sentence: Sentence

    @classmethod
    def of(cls, error: errors.FarmError) -> Failure:
        """The error as data."""
        return cls(code=error.code(), sentence=error.sentence)

    def error(self) -> errors.FarmError:
        """The error itself; what is no error of a stage counts as a crash."""
        error = errors.from_code(self.code, self.sentence)
        return error if isinstance(error, _STAGE_ERRORS) else errors.StageCrashed(self.sentence)


class StageResult(BaseModel):
    """What came of it. skips: later stages that this job can't have, each with a sentence that says why."""

    model_config = ConfigDict(frozen=True)

    metrics: tuple[Metric, ...] = Field((), max_length=MAX_METRICS)
    notes: tuple[Sentence, ...] = Field((), max_length=MAX_NOTES)
    skips: dict[StageName, Sentence] = {}
    attributes: Annotated[dict[str, Any], AfterValidator(clean_data)] = {}
    failure: Failure | None = None

    def write(self, workdir: Path) -> None:
        """Write `result.json`, whole or not at all."""
        temporary = workdir / f"{RESULT}.part"
        temporary.write_text(json.dumps(self.model_dump(mode="json")))
        temporary.rename(workdir / RESULT)

    @classmethod
    def read(cls, workdir: Path) -> StageResult | None:
        """Read `result.json`; None when the process left none."""
        path = workdir / RESULT
        return cls.parse(path.read_bytes()) if path.exists() else None

    @classmethod
    def parse(cls, data: bytes) -> StageResult:
        """What a stage's process wrote, with every text clean; ValueError for anything that is no result."""
        return cls.model_validate_json(data)
