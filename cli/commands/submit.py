"""`farm submit`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import app_options, completion, example_models, exit_status, io_options, job_page
from cli.arguments import AsJson, Wait
from cli.connection import connect, profile_rules
from cli.job_request import JobRequest
from cli.json_views import job_object
from cli.terminal import Terminal, open_terminal
from client.protocol import Submission
from farm import jobspec, modelref, settings
from farm.settings import SandboxMode, Settings
from farm.states import JobState

DEFAULT_PREFILL = ",".join(map(str, jobspec.DEFAULT_PREFILL))


def command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A KerasHub preset, kaggle:// or hf:// address, preset folder, .keras file or examples/NAME"
            f" (default: {modelref.DEFAULT}).",
            show_default=False,
        ),
    ] = None,
    quant: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="How the weights are stored; `farm recipes` lists them (default: none).",
            autocompletion=completion.recipes,
            show_default=False,
        ),
    ] = None,
    wait: Wait = False,
    context: Annotated[
        int | None,
        typer.Option(
            min=16,
            metavar="TOKENS",
            help=f"The longest text, prompt included (default: {jobspec.DEFAULT_CONTEXT}).",
            show_default=False,
        ),
    ] = None,
    prefill: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help=f"The lengths in which a prompt is read (default: {DEFAULT_PREFILL}).",
            show_default=False,
        ),
    ] = None,
    io_mode: io_options.IoModeName = None,
    tokenizer_graph: io_options.TokenizerGraphName = None,
    conversion_route: io_options.ConversionRouteName = None,
    prompt_bytes: io_options.PromptBytes = None,
    output_tokens: io_options.OutputTokens = None,
    special_tokens: io_options.SpecialTokensName = None,
    calibration: io_options.CalibrationFile = None,
    ops: io_options.Ops = None,
    allow_op: io_options.AllowOp = None,
    clone: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Take an earlier job's settings; other options change them.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    name: app_options.Label = None,
    app_id: app_options.ApplicationId = None,
    app_version: app_options.VersionName = None,
    version_code: app_options.VersionCode = None,
    abi: app_options.Abis = None,
    word_filter: app_options.WordFilter = None,
    aar_with_model: app_options.LibraryModel = None,
    mode: app_options.ModeName = None,
    prompt_template: app_options.PromptTemplate = None,
    aar: app_options.Aar = None,
    keystore: app_options.Keystore = None,
    key_alias: app_options.KeyAlias = None,
    keystore_password_source: app_options.PasswordSource = None,
    as_json: AsJson = False,
) -> None:
    """Turn a Keras language model into a verified .tflite and a signed APK.

    Prints the job's id and goes on in the background, or waits for the end with --wait. An equal job that is there
    already is not run again.
    """
    request = JobRequest(
        model=model,
        recipe=quant,
        io_mode=io_mode,
        tokenizer_graph=tokenizer_graph,
        conversion_route=conversion_route,
        context=context,
        prefill=prefill,
        prompt_bytes=prompt_bytes,
        output_tokens=output_tokens,
        special_tokens=special_tokens,
        calibration=calibration,
        ops=ops,
        allow_ops=tuple(allow_op or ()),
        rules=profile_rules(ctx),
        label=name,
        application_id=app_id,
        version_name=app_version,
        version_code=version_code,
        abis=tuple(abi or ()),
        aar=aar,
        keystore=keystore,
        key_alias=key_alias,
        password_source=keystore_password_source,
        filter=word_filter,
        mode=mode,
        prompt_template=prompt_template,
        library_model=aar_with_model,
    )
    terminal = open_terminal(as_json)
    if model is not None:
        example_models.make_if_missing(model, terminal)
    farm = connect(ctx)
    # Its import is that of the database's library, which only the embedded farm needs.
    from client.local import LocalFarm

    if isinstance(farm, LocalFarm):
        _ask_for_a_sandbox(settings.load())
    submission = farm.submit(request.spec(farm.job(clone).spec if clone else None))
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
    job_page.suggest(job, terminal)


def _ask_for_a_sandbox(own: Settings) -> None:
    """SandboxUnavailable before a job waits for a worker that would not start; workers elsewhere ask themselves."""
    if not own.announcing:
        from worker import sandbox

        sandbox.require(own.sandbox)
    if own.sandbox is SandboxMode.OFF:
        typer.echo(
            "Warning: FARM_SANDBOX=off, so this job's stages run without a sandbox; submit only models that you trust.",
            err=True,
        )
