"""`farm check`."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import check_page, completion
from cli.arguments import AsJson
from cli.check_page import CheckPage
from cli.connection import connect
from cli.terminal import open_terminal
from farm import settings
from farm.artifacts import ArtifactName
from farm.errors import FileUnreadable, JobNotFinished, PackageInvalid, UsageError
from pipeline.android import bundle_checks, checks, findings, library_checks
from pipeline.android.assembly import JOB_ASSETS
from pipeline.android.bundle_checks import Bundle
from pipeline.android.bundletool import Bundletool
from pipeline.android.checks import Expectation
from pipeline.android.findings import Check
from pipeline.android.library_checks import LibraryPackage
from pipeline.android.package import Package
from pipeline.toolchain import maven, pins

# Of an APK these are looked at where it is signed and downloaded, which a bundle's universal APK never is.
BUNDLE_HAS_OWN = ("signature", "size")


def command(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .apk, .aab or .aar.", show_default=False)],
    job: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Compare it with that job's model, name and versions too.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether an APK, a bundle or a library is fit for Google Play and for current phones.

    Each finding comes with its cause, its fix and the rule behind it; the exit code is 54 when one is an error.
    Without a job the model is compared with the hash that the app's own model-info.json states. Of a bundle, the APK
    that bundletool makes of all its modules is checked too.
    """
    terminal = open_terminal(as_json)
    if not file.is_file():
        raise FileUnreadable(f"There is no file {file}; give an .apk, .aab or .aar, as `farm download` writes it.")
    with file.open("rb") as stream:
        if stream.read(8)[4:] == b"TFL3":
            raise UsageError(f"{file} is a model and no package; look into it with: farm inspect {file}")
    expected = _expectation(ctx, job)
    with redirect_stderr(io.StringIO()):  # the programs' command lines, which belong into a stage's log
        page = PAGES.get(file.suffix, _package_page)(file, expected)
    if as_json:
        terminal.write_json(page.json_object())
    else:
        check_page.show(page, terminal)
    if findings.errors(page.findings):
        raise typer.Exit(PackageInvalid.exit_code)


def _package_page(file: Path, expected: Expectation) -> CheckPage:
    package = Package(file)
    return CheckPage.of(file, checks.methods(package), expected, checks.CHECKS, checks.inspect(package, expected))


def _bundle_page(file: Path, expected: Expectation) -> CheckPage:
    with tempfile.TemporaryDirectory(prefix="farm-") as folder:
        bundle = Bundle(file, Bundletool(maven.at(settings.load().toolchain), Path(folder)))
        found = bundle_checks.inspect(bundle, expected)
        run: list[Check[Any, Any]] = [
            *bundle_checks.CHECKS,
            *(one for one in checks.CHECKS if one.name not in BUNDLE_HAS_OWN),
        ]
        return CheckPage.of(file, bundle_checks.methods(bundle), expected, run, found)


def _library_page(file: Path, expected: Expectation) -> CheckPage:
    library = LibraryPackage(file)
    return CheckPage.of(file, {}, expected, library_checks.CHECKS, library_checks.inspect(library, expected))


PAGES = {".aab": _bundle_page, ".aar": _library_page}


def _expectation(ctx: typer.Context, job: str | None) -> Expectation:
    """What the package must be: as far as the job tells."""
    target, permitted = pins.load().target, settings.load().permitted_ops
    if job is None:
        return Expectation(target, permitted_ops=permitted)
    found = connect(ctx).job(job)
    made = {artifact.name: artifact.digest for artifact in found.artifacts}
    if ArtifactName.MODEL not in made:
        raise JobNotFinished(f"Job {found.id} is {found.state} and has no model yet; wait with: farm watch {found.id}")
    assets = {name: made[artifact] for artifact, name in JOB_ASSETS.items() if artifact in made}
    return Expectation(target, found.spec.app, assets, model_alignment=target.page_size, permitted_ops=permitted)
