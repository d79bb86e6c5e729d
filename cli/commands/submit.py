"""`farm submit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli import completion, example_models, exit_status, job_options, job_page, units
from cli.arguments import AsJson, Wait
from cli.connection import chosen_profile, connect, profile_options
from cli.json_views import job_object
from cli.terminal import Terminal, open_terminal
from client import own_webhooks, preflight
from client.profiles import LOCAL
from client.protocol import Submission
from farm import job_request, modelref, settings
from farm.errors import UsageError
from farm.options import OptionGroup
from farm.settings import SandboxMode, Settings
from farm.states import JobState
from pipeline.models import metadata, text_memory

USAGE = (
    "farm submit needs a model, as in: farm submit ./my_model --quant int8 --wait, or farm submit examples/tiny_gpt2;"
    " `farm submit --help` tells more."
)


@job_options.with_job_options
def command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A preset folder, .keras file, folder of Transformers, KerasHub preset, kaggle:// or hf:// address, or"
            " examples/NAME.",
            show_default=False,
        ),
    ] = None,
    clone: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Take an earlier job's settings; other options change them.",
            autocompletion=completion.jobs,
            show_default=False,
            rich_help_panel=OptionGroup.MODEL.value,
        ),
    ] = None,
    wait: Wait = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Turn a Keras language model into a verified .tflite and a signed APK.

    Prints the job's id and goes on in the background, or waits for the end with --wait. Identical jobs are reused.
    Options may also stand in farm.toml and in the metadata of a local model.
    """
    if model is None and clone is None:
        raise UsageError(USAGE)
    terminal = open_terminal(as_json)
    if model is not None:
        example_models.make_if_missing(model, terminal)
    farm = connect(ctx)
    # Its import is that of the database's library, which only the embedded farm needs.
    from client.local import LocalFarm

    if isinstance(farm, LocalFarm):
        _ask_for_a_sandbox(settings.load())
    template = farm.job(clone).spec if clone else None
    layers = [job_options.command_line(options)]
    if model is not None and template is None:
        layers = [metadata.options_of(modelref.parse(model)), *profile_options(ctx), *layers]
    spec = job_request.build_spec(model, layers, template)
    preflight.check_preset(spec)
    profile = chosen_profile(ctx)
    submission = farm.submit(spec, own_webhooks.of(profile.url if profile else LOCAL))
    if submission.job.sandbox is SandboxMode.OFF:
        _warn("FARM_SANDBOX=off")
    if wait:
        exit_status.wait_and_show(farm, submission.job.id, terminal)
    else:
        farm.ensure_worker()
        show(submission, terminal)


def show(submission: Submission, terminal: Terminal) -> None:
    """Say which job it is and what to do next."""
    job = submission.job
    if terminal.as_json:
        terminal.write_json({**job_object(job), "reused": submission.reused})
        return
    if submission.reused:
        verb = "has made exactly this already" if job.state is JobState.SUCCEEDED else "does exactly this already"
        terminal.remark(f"Job {job.id} {verb}; nothing new is run.")
    terminal.show(job_page.headline(job))
    if job.state is not JobState.SUCCEEDED and (found := text_memory.estimates(job.spec)):
        terminal.remark(longest_text(found))
    job_page.suggest(job, terminal)


def longest_text(found: Sequence[tuple[int, int]]) -> str:
    """What the longest text takes, before anything is converted. found: tokens and bytes, a second pair for a model
    that chats."""
    tokens, memory = (
        " or ".join(parts) for parts in zip(*((f"{n:,}", units.size(size)) for n, size in found), strict=True)
    )
    which = ", the second where the model chats" if len(found) > 1 else ""
    return f"A text of {tokens} tokens, the longest{which}, takes up to {memory} of memory beside the weights."


def _ask_for_a_sandbox(own: Settings) -> None:
    """SandboxUnavailable before a job waits for a worker that would not start; workers elsewhere ask themselves."""
    if own.announcing or own.sandbox is SandboxMode.OFF:
        return
    from worker import sandbox

    chosen = sandbox.choose(own.sandbox)
    if not chosen.confines:
        _warn(chosen.reason)


def _warn(reason: str) -> None:
    sentence = f"Warning: {reason}, so this job's stages run without a sandbox; submit only models that you trust."
    typer.echo(sentence, err=True)
