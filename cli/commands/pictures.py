"""`farm pictures`."""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import redirect_stderr
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import AsJson, JobId
from cli.connection import connect, require_local
from cli.terminal import open_terminal
from farm import settings
from farm.artifacts import ArtifactName
from farm.errors import JobNotFinished, OutputExists, UsageError
from farm.jobspec import IoMode


class Size(StrEnum):
    """phone: as every job draws. play: a phone and two tablets in sizes that Google Play takes."""

    PHONE = "phone"
    PLAY = "play"


def command(
    ctx: typer.Context,
    job: JobId,
    size: Annotated[
        Size, typer.Option(metavar="SIZE", help="play (phone, 7 and 10 inch tablet, for Google Play) or phone.")
    ] = Size.PLAY,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What to type into the app (default: the job's first prompt).", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write the pictures.")
    ] = Path("pictures"),
    force: Annotated[bool, typer.Option("--force", help="Write over pictures that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a job's app having answered a prompt, light and dark, in the sizes of a store.

    With the app's own name, icon colours and model, on this machine's JVM; without the speed, which would be that of
    this machine.
    """
    require_local(ctx, "farm pictures")
    # These bring what packages are made with, for which no other command should wait.
    from pipeline.android import assembly, golden, screenshots
    from pipeline.android.base import AppBase, AppSources
    from pipeline.android.robolectric import Harness
    from pipeline.toolchain import maven

    terminal, farm, chosen = open_terminal(as_json), connect(ctx), settings.load()
    found = farm.job(job)
    if found.spec.io_mode is IoMode.STRINGS:
        raise UsageError(f"The app of the I/O mode {IoMode.STRINGS} runs on a phone only; take pictures of it there.")
    if ArtifactName.APK not in {artifact.name for artifact in found.artifacts}:
        raise JobNotFinished(f"Job {found.id} is {found.state} and has no app yet; wait with: farm watch {found.id}")
    drawer, pixels = screenshots.SIZES[size.value]
    if not force and (there := [name for name in pixels if (output / name).exists()]):
        raise OutputExists(f"{output / there[0]} is already there; add --force, or choose another --output.")
    with tempfile.TemporaryDirectory(prefix="farm-") as folder, redirect_stderr(io.StringIO()):
        work = Path(folder)
        needed = {name: work / name.value for name in (ArtifactName.APK, ArtifactName.GOLDEN, ArtifactName.APP_BASE)}
        for name, path in needed.items():
            farm.download(found.id, name, path)
        package = needed[ArtifactName.APK]
        texts = (
            (prompt,)
            if prompt
            else screenshots.questions(
                golden.read(needed[ArtifactName.GOLDEN]),
                assembly.read_model_info(package).prompting,
                found.spec.app.prompts,
            )
        )
        if not texts:
            raise UsageError("The job has no prompt in words; say what to type with --prompt TEXT.")
        harness = Harness(AppBase(needed[ArtifactName.APP_BASE]), maven.at(chosen.toolchain), work / "screens")
        driver = screenshots.driver(harness, AppSources(), chosen.caches, work / "adopt")
        screenshots.draw(harness, package, driver, texts, drawer, work / "pictures")
        output.mkdir(parents=True, exist_ok=True)
        for picture in pixels:
            shutil.move(work / "pictures" / picture, output / picture)
    drawn = [(output / picture, width, height) for picture, (width, height) in pixels.items()]
    if as_json:
        rows = [{"path": str(path), "width": width, "height": height} for path, width, height in drawn]
        terminal.write_json({"job": found.id, "prompt": texts[0], "pictures": rows})
        return
    for path, width, height in drawn:
        terminal.show(f"{path}  {width} x {height}")
