"""`farm submit`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion, job_page, lane_options, outcome
from cli.arguments import AsJson
from cli.connection import connect, profile_rules
from cli.job_options import APP_PANEL, Aar, AllowOp, KeyAlias, Keystore, Ops, PasswordSource
from cli.job_request import JobRequest
from cli.json_views import job_object
from cli.terminal import Terminal, open_terminal
from client.protocol import Submission
from farm import jobspec, modelref
from farm.prompting import PLACE, Mode
from farm.states import JobState

DEFAULT_APP = jobspec.AppSpec()
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
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end and show the result.")] = False,
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
    lane: lane_options.LaneName = None,
    tokenizer_graph: lane_options.TokenizerGraphName = None,
    conversion_route: lane_options.ConversionRouteName = None,
    prompt_bytes: lane_options.PromptBytes = None,
    output_tokens: lane_options.OutputTokens = None,
    calibration: lane_options.CalibrationFile = None,
    ops: Ops = None,
    allow_op: AllowOp = None,
    clone: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Take an earlier job's settings; other options change them.",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help=f"The name below the app's icon (default: {DEFAULT_APP.label}).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    app_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help=f"The application id (default: {DEFAULT_APP.application_id}).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    app_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help=f"The version that people see (default: {DEFAULT_APP.version_name}).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    version_code: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help=f"The version that Android compares (default: {DEFAULT_APP.version_code}).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    abi: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ABI",
            help=f"A CPU type to carry a runtime for; may be repeated (default: {', '.join(jobspec.Abi)}).",
            autocompletion=completion.abis,
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    word_filter: Annotated[
        bool | None,
        typer.Option(
            "--filter/--no-filter",
            help="Refuse unsuitable words in the app, in what is typed and in what is written (default: --filter).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    aar_with_model: Annotated[
        bool | None,
        typer.Option(
            "--aar-with-model/--aar-without-model",
            help="Put the model into generation.aar too (default: --aar-without-model).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help=f"What the app does with what is typed: {', '.join(Mode)} (default: what the model's metadata say,"
            f" else {Mode.COMPLETE}).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    prompt_template: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|TEXT",
            help=f"What an instruct model reads, with {PLACE} where the question goes (default: the model's own).",
            show_default=False,
            rich_help_panel=APP_PANEL,
        ),
    ] = None,
    aar: Aar = None,
    keystore: Keystore = None,
    key_alias: KeyAlias = None,
    keystore_password_source: PasswordSource = None,
    as_json: AsJson = False,
) -> None:
    """Turn a Keras language model into a verified .tflite and a signed APK.

    Prints the job's id and goes on in the background, or waits for the end with --wait. An equal job that is there
    already is not run again.
    """
    request = JobRequest(
        model=model,
        recipe=quant,
        lane=lane,
        tokenizer_graph=tokenizer_graph,
        conversion_route=conversion_route,
        context=context,
        prefill=prefill,
        prompt_bytes=prompt_bytes,
        output_tokens=output_tokens,
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
    farm = connect(ctx)
    submission = farm.submit(request.spec(farm.job(clone).spec if clone else None))
    if wait:
        outcome.wait_and_show(farm, submission.job.id, terminal)
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
