"""`farm check`."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated

import typer

from cli import check_page, completion
from cli.arguments import AsJson
from cli.connection import connect
from cli.terminal import open_terminal
from farm.artifacts import ArtifactName
from farm.errors import FileUnreadable, JobNotFinished, PackageInvalid
from worker.android import checks, findings, pins
from worker.android.assembly import JOB_ASSETS
from worker.android.checks import Expectation
from worker.android.package import Package


def command(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .apk.", show_default=False)],
    job: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Hold it against that job's model, name and versions too.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether an APK is fit for Google Play and for current phones.

    Each finding comes with its cause, its mend and the rule behind it; the exit code is 54 when one is an error.
    Without a job the model is held against the hash that the app's own model-info.json states.
    """
    terminal = open_terminal(as_json)
    if not file.is_file():
        raise FileUnreadable(f"There is no file {file}; give an .apk, as `farm download` writes it.")
    expected = _expectation(ctx, job)
    with redirect_stderr(io.StringIO()):  # the programs' command lines, which belong into a stage's log
        package = Package(file)
        page = check_page.CheckPage.of(package, expected, checks.inspect(package, expected))
    if as_json:
        terminal.write_json(page.json_object())
    else:
        check_page.show(page, terminal)
    if findings.errors(page.findings):
        raise typer.Exit(PackageInvalid.exit_code)


def _expectation(ctx: typer.Context, job: str | None) -> Expectation:
    """What the package must be: as far as the job tells."""
    target = pins.load().target
    if job is None:
        return Expectation(target)
    found = connect(ctx).job(job)
    made = {artifact.name: artifact.digest for artifact in found.artifacts}
    if ArtifactName.MODEL not in made:
        raise JobNotFinished(f"Job {found.id} is {found.state} and has no model yet; wait with: farm watch {found.id}")
    assets = {name: made[artifact] for artifact, name in JOB_ASSETS.items() if artifact in made}
    return Expectation(target, found.spec.app, assets, model_alignment=target.page_size)
