"""`farm logs`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from cli.arguments import AsJson, MaybeJobId
from cli.connection import connect
from cli.terminal import open_terminal
from farm.stages import StageName

# How farm.logs heads what one attempt of a stage wrote.
# TensorFlow says so on every start on a machine without a GPU, whatever level its log is set to.
NOISE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog|[EW]0000 .* (cuda_\w+|computation_placer)\.cc:\d+\]"
)
HEAD = re.compile(r"== \d+-(?P<stage>.+)\.\d+ ==")


def command(
    ctx: typer.Context,
    job: MaybeJobId = None,
    stage: Annotated[
        StageName | None,
        typer.Option(metavar="STAGE", help="Only what that stage wrote, such as convert.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what the stages of a job wrote.

    Without an id: the newest job. With --json and --follow the lines come when the job has ended.
    """
    farm, terminal = connect(ctx), open_terminal(as_json)
    found = farm.job(job) if job else farm.latest()
    lines = of_stage((line.rstrip("\r\n") for line in farm.logs(found.id, follow=follow)), stage)
    if as_json:
        terminal.write_json({"id": found.id, "lines": list(lines)})
        return
    for line in lines:
        terminal.show_raw(line)


def of_stage(lines: Iterable[str], stage: StageName | None) -> Iterator[str]:
    """The lines below that stage's heads, heads included; all of them without a stage."""
    shown = stage is None
    for line in lines:
        if NOISE.match(line):
            continue
        if stage is not None and (head := HEAD.fullmatch(line)):
            shown = head["stage"] == stage.value
        if shown:
            yield line
