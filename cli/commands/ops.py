"""`farm ops`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completion
from cli.arguments import AsJson
from cli.connection import connect
from cli.targets import model_files
from cli.terminal import open_terminal
from farm.artifacts import ArtifactName
from farm.errors import UsageError

if TYPE_CHECKING:
    from pipeline.ops.aar import AarReading
    from pipeline.ops.ledger import Ledger


def command(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A .tflite, an .apk, or a job.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    aar: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="An AAR, a jar or an APK with TFLite in it: what it registers, or whether it has the target's ops.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List a model's ops: versions, places, the runtimes and AARs that have them.

    The exit code is 0 whatever is found: a job fails by its own allowlist, and `farm check` judges a package.
    """
    # These bring the file format's library and numpy, for which no other command should wait.
    from cli import ops_page
    from pipeline.ops import aar as aars

    terminal = open_terminal(as_json)
    if target is None and aar is None:
        raise UsageError("Name a model or a job, or an AAR with --aar FILE.")
    read = aars.read(aar) if aar is not None else None
    if target is None:
        assert read is not None  # noqa: S101  one of the two was given
        ops_page.show_aar(read, terminal)
        return
    ops_page.show_ledger(_ledger(ctx, target, read), terminal)


def _ledger(ctx: typer.Context, target: str, read: AarReading | None) -> Ledger:
    """The ledger that the job made, or one of the model itself when there is none or another AAR is asked about."""
    from pipeline.ops import known_aars, ledger

    known = known_aars.all_known() if read is None else (read,)
    if read is None and not Path(target).expanduser().exists() and "/" not in target:
        farm = connect(ctx)
        job = farm.job(target)
        if ArtifactName.OPS in {artifact.name for artifact in job.artifacts}:
            with tempfile.TemporaryDirectory(prefix="farm-") as folder:
                path = Path(folder) / ArtifactName.OPS
                farm.download(job.id, ArtifactName.OPS, path)
                return ledger.read(path)
    with model_files(ctx, target, (ArtifactName.MODEL,)) as path:
        return ledger.make(path / ArtifactName.MODEL if path.is_dir() else path, known)
