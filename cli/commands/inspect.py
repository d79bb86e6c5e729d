"""`farm inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.arguments import AsJson
from cli.targets import model_files
from cli.terminal import open_terminal
from farm.artifacts import ArtifactName


def command(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A .tflite, a .litertlm, an .apk, an .aab, or a job.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor, not only the largest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is inside a .tflite, a .litertlm or an APK: signatures, operators, tensors, sizes."""
    # It brings the file format's library and numpy, for which no other command should wait.
    from cli import inspection_page

    terminal = open_terminal(as_json)
    with model_files(ctx, target, (ArtifactName.MODEL, ArtifactName.MODEL_INFO)) as path:
        findings = inspection_page.Findings.of(path / ArtifactName.MODEL if path.is_dir() else path)
    if as_json:
        terminal.write_json(findings.json_object())
    else:
        inspection_page.show(findings, terminal, every_tensor=tensors)
