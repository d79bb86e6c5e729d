"""`farm aar`."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from typing import Annotated

import typer

from cli import completion
from cli.arguments import AsJson
from cli.targets import model_files
from cli.terminal import open_terminal
from farm import settings
from farm.appspec import Abi, parse_abi
from farm.artifacts import ArtifactName
from farm.errors import UsageError


def command(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The model that it is for: a .tflite, an .apk, or a job.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ],
    abi: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ABI",
            help=f"A CPU type to build for; may be repeated (default: {', '.join(Abi)}).",
            autocompletion=completion.abis,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the Android library with TensorFlow's ops that a model needs, or find one that was built.

    It takes Docker, the sources of TensorFlow and TensorFlow Text, and hours. Jobs with --aar bazel then use it; one
    that has more ops than a model needs serves too. android-builder/README.md says what the build does.
    """
    # These bring the file format's library and numpy, for which no other command should wait.
    from pipeline.ops import aar_builds, reading

    terminal = open_terminal(as_json)
    caches = settings.load().caches
    with model_files(ctx, target, (ArtifactName.MODEL,)) as path:
        model = path / ArtifactName.MODEL if path.is_dir() else path
        uses = reading.read_operators(model)
        if not aar_builds.needed_ops(uses):
            raise UsageError(f"{target} needs no Flex AAR: all its ops are built into TFLite.")
        wanted = aar_builds.key_for(uses, tuple(map(parse_abi, abi or list(Abi))))
    with redirect_stderr(io.StringIO()):  # the build's command line; its own log tells of failures
        found = aar_builds.cached(caches, wanted) or aar_builds.build(caches, wanted)
    if as_json:
        terminal.write_json({"path": str(found.path), **found.key.model_dump(mode="json")})
        return
    terminal.show(str(found.path))
    terminal.remark(f"{len(found.key.ops)} ops for {', '.join(found.key.abis)}; jobs use it with --aar bazel.")
