"""What a user may name where a model is asked for: a file, a folder or a job."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from cli.connection import connect
from farm.artifacts import ArtifactName
from farm.errors import FileUnreadable, JobNotFinished, JobNotFound

MODEL_SUFFIXES = (".apk", ".aab", ".tflite", ".litertlm")


@contextmanager
def model_files(ctx: typer.Context, target: str, needed: Sequence[ArtifactName]) -> Iterator[Path]:
    """The file or folder that was named, or a temporary folder with what is `needed` of a job.

    FileUnreadable when a path leads nowhere; JobNotFound, AmbiguousJob, JobNotFinished, ArtifactMissing for jobs.
    """
    path = Path(target).expanduser()
    if path.exists():
        yield path
        return
    if "/" in target or path.suffix in MODEL_SUFFIXES:
        raise FileUnreadable(f"There is no file {target}; give a package, a .tflite, a .litertlm, a folder or a job.")
    farm = connect(ctx)
    try:
        job = farm.job(target)
    except JobNotFound as error:
        raise JobNotFound(f"There is neither a file nor a job {target!r}; `farm list` shows all jobs.") from error
    made = {artifact.name for artifact in job.artifacts}
    if ArtifactName.MODEL not in made:
        raise JobNotFinished(f"Job {job.id} is {job.state} and has no model yet; wait with: farm watch {job.id}")
    with tempfile.TemporaryDirectory(prefix="farm-") as folder:
        for name in needed:
            if name in made:
                farm.download(job.id, name, Path(folder) / name.value)
        yield Path(folder)
